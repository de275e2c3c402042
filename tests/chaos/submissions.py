"""The jobs of a chaos run: each of a kind, with its own range, and with the end that it must come to."""

import asyncio
import json
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID

import aiohttp

from libs.common.domain.failures import Code
from tests.chaos.checker import Expected

RATE, SECONDS = 25, 10
LENGTHS = 40
SMALL = (
    f"-f lavfi -i testsrc2=size=160x96:rate={RATE}:duration={SECONDS} -f lavfi -i aevalsrc=sin(2*PI*(200*t+40*t*t)):d={SECONDS}"
    f" -c:v libx264 -bf 0 -g {RATE} -c:a aac -shortest"
)
"""A keyframe every second, so that cuts there are copies; a tone that rises, so that no two ranges sound the same."""
TIMEOUT = aiohttp.ClientTimeout(total=20)


@dataclass(frozen=True, slots=True)
class Sources:
    """What jobs cut: keys of uploads, a URL, and the file itself."""

    small: str
    garbage: str
    url: str
    file: Path


@dataclass(frozen=True, slots=True)
class Wish:
    """A request's JSON, and the end that its job must come to."""

    body: dict[str, Any]
    expected: Expected
    is_multipart: bool = False


@dataclass(frozen=True, slots=True)
class Answered:
    """What became of a submission. `status` 0: the connection broke."""

    number: int
    status: int
    at: float
    seconds: float
    job_id: UUID | None
    code: str = ""
    has_retry_after: bool = False


@dataclass(slots=True)
class Submissions:
    """Every job that was ever asked for, by number."""

    sources: Sources
    numbers: Iterator[int] = field(default_factory=lambda: count(1))
    expected: dict[int, Expected] = field(default_factory=dict)
    answered: list[Answered] = field(default_factory=list)

    @property
    def accepted(self) -> dict[UUID, int]:
        return {answer.job_id: answer.number for answer in self.answered if answer.job_id}

    def wish(self, kind: str, number: int) -> Wish:
        """No two numbers near each other ask for the same range."""
        frames = RATE + number // 8 % LENGTHS
        begin = number % 8
        fields = {"start": begin, "end": round(begin + frames / RATE, 3), "metadata": {"n": str(number)}}
        upload = {"sourceType": "upload", "uploadKey": self.sources.small}
        cut = Expected(kind=kind, frames=frames)
        match kind:
            case "clip":
                return Wish(fields | upload, cut)
            case "fast" | "bulk":
                return Wish(fields | upload | {"priority": kind}, cut)
            case "subtitled":
                return Wish(fields | upload | {"withSubtitles": True}, cut)
            case "burned":
                return Wish(fields | upload | {"withSubtitles": True, "burnSubtitles": True}, cut)
            case "file":
                return Wish(fields, cut, is_multipart=True)
            case "url":
                return Wish(fields | {"sourceType": "youtube", "youtubeUrl": self.sources.url}, cut)
            case "garbage":
                return Wish(fields | upload | {"uploadKey": self.sources.garbage}, failing(kind, Code.SOURCE_UNREADABLE))
            case "outside":
                return Wish(fields | upload | {"start": 60, "end": 62}, failing(kind, Code.RANGE_OUTSIDE_SOURCE))
        raise ValueError(kind)

    async def submit(self, http: aiohttp.ClientSession, kind: str = "clip", **other: frozenset[str]) -> Answered:
        """One request, whatever comes of it. `other`: statuses and codes that a job of this kind may end with as well."""
        number = next(self.numbers)
        wish = self.wish(kind, number)
        self.expected[number] = also(wish.expected, **other)
        began, at = time.monotonic(), time.time()
        status, body, retry_after = await self._sent(http, wish)
        job_id = UUID(body["job"]["id"]) if status == 202 else None
        code = str(body.get("error", {}).get("code", ""))
        answer = Answered(number, status, at, time.monotonic() - began, job_id, code, retry_after)
        self.answered.append(answer)
        return answer

    async def _sent(self, http: aiohttp.ClientSession, wish: Wish) -> tuple[int, dict[str, Any], bool]:
        path, sent = ("/api/jobs/upload", {"data": self._form(wish)}) if wish.is_multipart else ("/api/jobs", {"json": wish.body})
        try:
            async with http.post(path, timeout=TIMEOUT, **sent) as answer:
                return answer.status, await answer.json(), "Retry-After" in answer.headers
        except (aiohttp.ClientError, TimeoutError, ValueError):
            return 0, {}, False

    def _form(self, wish: Wish) -> aiohttp.FormData:
        form = aiohttp.FormData({name: json.dumps(value) for name, value in wish.body.items()})
        form.add_field("file", self.sources.file.read_bytes(), filename="small.mp4")
        return form


def failing(kind: str, code: Code) -> Expected:
    return Expected(kind=kind, statuses=frozenset({"failed"}), codes=frozenset({code.value}))


def also(expected: Expected, *, statuses: frozenset[str] = frozenset(), codes: frozenset[str] = frozenset()) -> Expected:
    return replace(expected, statuses=expected.statuses | statuses, codes=expected.codes | codes)


async def prepared(http: aiohttp.ClientSession, folder: Path, url_of: Any) -> Sources:
    """The sources made and uploaded. `url_of` gives the address of a file in the folder."""
    small, garbage = folder / "small.mp4", folder / "garbage.mp4"
    await asyncio.to_thread(subprocess.run, ["ffmpeg", "-v", "error", "-y", *SMALL.split(), str(small)], check=True)
    garbage.write_bytes(b"no video at all " * 1000)
    return Sources(await _uploaded(http, small), await _uploaded(http, garbage), url_of(small), small)


async def _uploaded(http: aiohttp.ClientSession, file: Path) -> str:
    content = file.read_bytes()
    async with http.post("/api/uploads", json={"size": len(content), "filename": file.name, "contentType": "video/mp4"}) as answer:
        ticket = await answer.json()
    async with http.put(ticket["url"], data=content, headers=ticket["headers"]) as put:
        assert put.status == 200, await put.text()
    async with http.post(f"/api/uploads/{ticket['uploadKey'].split('/')[1]}/complete") as complete:  # or a killed S3 forgets it
        assert complete.status == 200, await complete.text()
    return str(ticket["uploadKey"])
