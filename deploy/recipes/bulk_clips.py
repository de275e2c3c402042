"""Many clips of a list: python bulk_clips.py RANGES.csv FOLDER. The list has the columns source (a file or URL), start, end, name.

Where Clipstream is, and the key: CLIPSTREAM_URL, CLIPSTREAM_API_KEY.
Each file is uploaded once; as many jobs are made before the first is waited for as the service lets one client have.
"""
# ruff: noqa: INP001, T201  a script: it is in no package, and prints

import csv
import sys
from collections import deque
from pathlib import Path

from clipstream import Clipstream, ClipstreamError, Job, RateLimited, Upload

Row = dict[str, str]


class Clips:
    """Jobs under way, the oldest first, and how many rows became no clip."""

    def __init__(self, service: Clipstream, folder: str) -> None:
        self.service, self.folder, self.failed = service, folder, 0
        self.uploads: dict[str, Upload] = {}
        self.pending: deque[tuple[str, Job]] = deque()

    def order(self, row: Row) -> None:
        """What is refused is named; the other rows go on."""
        try:
            source = self.source_of(row["source"])
            self.pending.append((row["name"], self.job(source, row)))
        except (ClipstreamError, OSError) as error:
            self.fail(row["name"], error)

    def job(self, source: Upload | str, row: Row) -> Job:
        """A service that takes no more jobs of ours takes one when one of them is over."""
        while True:
            try:
                return self.service.create(source, row["start"], row["end"])
            except RateLimited:
                if not self.pending:
                    raise
                self.fetch_oldest()

    def source_of(self, written: str) -> Upload | str:
        if "://" in written:
            return written
        if written not in self.uploads:
            self.uploads[written] = self.service.upload(written)
        return self.uploads[written]

    def fetch_oldest(self) -> None:
        name, job = self.pending.popleft()
        try:
            self.service.wait(job.id)
            print(*self.service.download(job.id, self.folder, name=name, only=["video"]).values(), flush=True)
        except (ClipstreamError, OSError) as error:
            self.fail(name, error)

    def fail(self, name: str, error: Exception) -> None:
        self.failed += 1
        print(f"{name}: {error}", file=sys.stderr)


def main(ranges: str, folder: str) -> int:
    with Clipstream() as service, Path(ranges).open(newline="") as lines:
        clips = Clips(service, folder)
        for row in csv.DictReader(lines):
            clips.order(row)
        while clips.pending:
            clips.fetch_oldest()
    return 1 if clips.failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
