"""A job's files on their way to a folder: beside their places first, gone on with where they break, and renamed when they are whole."""

import re
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from clipstream.errors import UNREACHABLE, BadRequest, NotFound, Unavailable
from clipstream.models import File, Model, Result
from clipstream.server import Server, identifier
from clipstream.wire import Answer, Request

Progress = Callable[[int, int], None]
"""Told the bytes that are there, and how many there are to be, of all files that were begun so far."""
ENDINGS = {
    "video": ".mp4",
    "burned_video": ".subbed.mp4",
    "srt": ".srt",
    "vtt": ".vtt",
    "text": ".txt",
    "json": ".json",
    "thumbnail": ".jpg",
}
PRESET = re.compile(r"(?!subbed$)[a-z0-9]{1,20}")
MEDIA = re.compile(r"\.(mp4|m4a|mp3|gif|webm|jpg|png|webp|wav)\Z")
BARE = frozenset({("gif", "gif"), ("audio", "m4a"), ("audio", "mp3")})
"""Presets that their ending already tells."""
EXPIRED = frozenset({401, 403, 404, 410})
"""What storages answer to a URL that is good no more."""
OK, PARTIAL, NOT_SATISFIABLE = 200, 206, 416


class ResultAnswer(Model, frozen=True, kw_only=True):
    result: Result


async def result(server: Server, job_id: str) -> Result:
    answer = await server.get(f"/api/jobs/{identifier(job_id)}/result", ResultAnswer)
    return answer.result


def ending(name: str, key: str) -> str | None:
    """How the file of this name ends on the disk: ours to say. The server's key only tells one known kind of media from another."""
    if name in ENDINGS:
        return ENDINGS[name]
    media = MEDIA.search(key)
    if not PRESET.fullmatch(name) or not media:
        return None
    return media[0] if (name, media[1]) in BARE else f".{name}{media[0]}"


def targets(files: Mapping[str, File], folder: Path, stem: str, only: Collection[str] | None) -> dict[str, Path]:
    """Where each file goes. Raises BadRequest for a stem that is no plain name; NotFound for a file that the job does not have."""
    if not stem or stem in {".", ".."} or re.search(r"[/\\\x00]", stem):
        raise BadRequest("BAD_NAME", "that is no name for a file", hint="Give a name without folders and without an ending.", field="name")
    if absent := [name for name in only or () if name not in files]:
        raise NotFound("NOT_FOUND", f"the job has no {' and no '.join(absent)}", hint=f"It has {', '.join(sorted(files))}.")
    endings = {name: ending(name, file.key) for name, file in files.items() if only is None or name in only}
    return {name: folder / f"{stem}{end}" for name, end in endings.items() if end}


@dataclass(slots=True)
class _Tally:
    """Bytes over all files."""

    progress: Progress | None
    files: dict[str, tuple[int, int]] = field(default_factory=dict)

    def tell(self, name: str, there: int, total: int) -> None:
        self.files[name] = (there, max(there, total))
        if self.progress:
            self.progress(*(sum(column) for column in zip(*self.files.values(), strict=True)))


async def download(
    server: Server, job_id: str, folder: Path, name: str, only: Collection[str] | None, progress: Progress | None
) -> dict[str, Path]:
    """Raises ClipstreamError, and OSError of the folder."""
    found = await result(server, job_id)
    places, tally = targets(found.files, folder, name, only), _Tally(progress)
    await server.wire.aside(lambda: folder.mkdir(parents=True, exist_ok=True))
    for file, place in places.items():
        await _Fetching(server, job_id, file, found.files[file].url, tally).into(place)
    return places


@dataclass(slots=True)
class _Fetching:
    """One file. `there` bytes of it are on the disk, of `total`; `etag` says which version they are of."""

    server: Server
    job_id: str
    name: str
    url: str
    tally: _Tally
    there: int = 0
    total: int | None = None
    etag: str = ""

    async def into(self, place: Path) -> None:
        draft = place.with_name(f".{uuid4().hex}.part")  # a name of its own: with the file's in it, a long one would not fit
        try:
            with draft.open("xb") as file:
                await self._whole(file)
            draft.replace(place)
        finally:
            draft.unlink(missing_ok=True)

    async def _whole(self, file: BinaryIO) -> None:
        """Attempts that brought something are not counted."""
        attempt = 0
        while True:
            before = self.there
            try:
                await self._some(file)
                return
            except Unavailable as error:
                attempt = 0 if self.there > before else attempt
                pause = self.server.pacing.pause(error, attempt)
                if pause is None:
                    raise
            attempt += 1
            await self.server.wire.pause(pause)

    async def _some(self, file: BinaryIO) -> None:
        """Returns when all is there. Raises Unavailable where it breaks off."""
        async with self.server.wire.open(Request("GET", self.url, self._wish())) as answer:
            if answer.status in {OK, PARTIAL}:
                await self._kept(file, answer)
        if answer.status in EXPIRED:
            self.url = (await result(self.server, self.job_id)).files[self.name].url
        if answer.status == NOT_SATISFIABLE:
            self.there = 0
        if answer.status not in {OK, PARTIAL}:
            raise _broken(f"the file store did not give {self.name} (it answered {answer.status})")
        if self.total is not None and self.there != self.total:
            raise _broken(f"{self.name} broke off in the middle")

    def _wish(self) -> dict[str, str]:
        """The rest, if the file is still the same; where that can't be told, all of it."""
        return {"range": f"bytes={self.there}-", "if-range": self.etag} if self.there and self.etag else {}

    async def _kept(self, file: BinaryIO, answer: Answer) -> None:
        await self._placed(file, answer)
        self.tally.tell(self.name, self.there, self.total or 0)
        async for chunk in _gathered(answer.chunks()):
            await self.server.wire.aside(partial(file.write, chunk))
            self.there += len(chunk)
            self.tally.tell(self.name, self.there, self.total or 0)
            if self.total is not None and self.there > self.total:
                self.there = 0
                raise _broken(f"{self.name} is longer than it was said to be")

    async def _placed(self, file: BinaryIO, answer: Answer) -> None:
        """Where the answer's bytes go; a whole file, or a part that is not the one that we asked for, begins anew."""
        length = answer.headers.get("content-length", "")
        size = int(length) if length.isascii() and length.isdigit() else None
        if answer.status == PARTIAL:
            if answer.headers.get("content-range", "").partition("-")[0] != f"bytes {self.there}":
                self.there, self.etag = 0, ""
                raise _broken(f"{self.name} came in another part than was asked for")
            return
        self.there, self.total = 0, size
        etag = answer.headers.get("etag", "")
        self.etag = "" if etag.startswith("W/") else etag
        file.seek(0)
        file.truncate()


async def _gathered(chunks: AsyncIterator[bytes], size: int = 1024 * 1024) -> AsyncIterator[bytes]:
    """In pieces that are worth a turn of the disk; what came before a break is not lost."""
    held = bytearray()
    try:
        async for chunk in chunks:
            held += chunk
            if len(held) >= size:
                yield bytes(held)
                held.clear()
    except Unavailable:
        if held:
            yield bytes(held)
        raise
    if held:
        yield bytes(held)


def _broken(message: str) -> Unavailable:
    return Unavailable(UNREACHABLE, message, hint="Try again in a moment.", retryable=True)
