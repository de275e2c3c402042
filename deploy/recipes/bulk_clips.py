"""Clips of a list: `bulk_clips.py ranges.csv clips/`. The list has the columns source (a file or a URL), start, end and name.

Where Clipstream is, and the key: CLIPSTREAM_URL, CLIPSTREAM_API_KEY.
Each file is uploaded once; all jobs are made before the first is waited for.
"""
# ruff: noqa: INP001, T201  a script: it is in no package, and prints

import csv
import sys
from pathlib import Path

from clipstream import Clipstream, ClipstreamError, Upload


def main(ranges: str, folder: str) -> int:
    uploads: dict[str, Upload] = {}
    failed = 0
    with Clipstream() as service, Path(ranges).open(newline="") as lines:

        def source_of(written: str) -> Upload | str:
            if "://" in written:
                return written
            if written not in uploads:
                uploads[written] = service.upload(written)
            return uploads[written]

        jobs = [(row["name"], service.create(source_of(row["source"]), row["start"], row["end"])) for row in csv.DictReader(lines)]
        for name, job in jobs:
            try:
                service.wait(job.id)
                made = service.download(job.id, folder, name=name, only=["video"])
            except ClipstreamError as error:
                failed += 1
                print(f"{name}: {error}", file=sys.stderr)
            else:
                print(*made.values())
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
