"""Files sent: in parts, each again where it breaks, gone on with by whoever comes next, and with nothing of ours to the storage."""

import asyncio
import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from clipstream import BadRequest, Conflict, Forbidden, Unavailable
from tests.clients.client.servers import Connect, Handle, hangs_up, serving

PART = 1_000_000
UPLOAD = "35b30c21-47e5-4695-9f24-faccebf217cd"


@dataclass
class Storage:
    """An API's uploads and the storage behind it, in memory; URLs carry the round in which they were signed."""

    size: int
    parts: dict[int, bytes] = field(default_factory=dict)
    complete: bool = False
    begun: int = 0
    rounds: int = 0
    signs: bool = True
    each: int = PART

    def state(self, request: web.Request) -> web.Response:
        self.rounds += 1
        numbers = range(1, -(-self.size // self.each) + 1)
        there = [] if not self.complete else list(numbers)
        body: dict[str, Any] = {"uploadKey": f"uploads/{UPLOAD}/film.mp4", "uploadId": UPLOAD, "partSize": self.each, "size": self.size}
        body["state"] = "complete" if self.complete else "uploading"
        body["parts"] = [self._ticket(request, number) for number in numbers if number not in self.parts and number not in there]
        return web.json_response(body)

    def _ticket(self, request: web.Request, number: int) -> dict[str, Any]:
        size = min(self.each, self.size - (number - 1) * self.each)
        url = f"{request.url.origin()}/s3/{number}?signature=s3cret&round={self.rounds}"
        return {"number": number, "size": size, **({"url": url, "headers": {"Content-Type": "video/mp4"}} if self.signs else {})}

    def paths(self, **parts: Handle | list[Handle]) -> dict[str, Any]:
        puts = {f"s3_{number}": parts.get(f"part{number}", self.put) for number in range(1, 10)}
        uploads = {"api_uploads": self.begin, f"api_uploads_{UPLOAD}": self.look, f"api_uploads_{UPLOAD}_complete": self.end}
        return uploads | puts

    async def begin(self, request: web.Request) -> web.Response:
        self.begun += 1
        return self.state(request)

    async def look(self, request: web.Request) -> web.Response:
        return self.state(request)

    async def put(self, request: web.Request) -> web.Response:
        self.parts[int(request.path.rpartition("/")[2])] = await request.read()
        return web.Response()

    async def end(self, request: web.Request) -> web.Response:
        self.complete = True
        return self.state(request)

    @property
    def whole(self) -> bytes:
        return b"".join(self.parts[number] for number in sorted(self.parts))


async def expired(_: web.Request) -> web.Response:
    return web.Response(status=403, text="<Error><Code>AccessDenied</Code></Error>")


@pytest.fixture
def film(tmp_path: Path) -> Path:
    path = tmp_path / "film.mp4"
    path.write_bytes(os.urandom(2_500_000))
    return path


async def test_only_the_part_that_failed_is_sent_again(connect: Connect, film: Path) -> None:
    storage, told = Storage(film.stat().st_size), []
    async with serving(**storage.paths(part2=[hangs_up, expired, storage.put])) as server:
        sent = await connect(server.url, key="ck_secret").upload(film, progress=lambda *bytes_: told.append(bytes_))
    assert (storage.whole == film.read_bytes(), storage.complete, sent.id, sent.size) == (True, True, UPLOAD, 2_500_000)
    puts = [request for request in server.asked if request.method == "PUT"]
    assert [request.path for request in puts] == ["/s3/1", "/s3/2", "/s3/2", "/s3/2", "/s3/3"]
    assert len({request.query["round"] for request in puts}) == 3
    assert {"authorization", "x-api-key"}.isdisjoint(name.lower() for request in puts for name in request.headers)
    assert {(request.headers["content-type"], request.content_length) for request in puts} == {("video/mp4", PART), ("video/mp4", 500_000)}
    assert (told[0][0] > 0, told[-1]) == (True, (2_500_000, 2_500_000))


async def test_what_another_client_sent_is_not_sent_again(connect: Connect, film: Path) -> None:
    storage = Storage(film.stat().st_size)
    async with serving(**storage.paths(part3=[expired, expired, storage.put])) as server:
        with pytest.raises(Unavailable, match="did not take a part"):
            await connect(server.url, retries=0).upload(film)
        assert set(storage.parts) == {1, 2}
        told: list[int] = []
        await connect(server.url, retries=2).upload(film, progress=lambda there, _: told.append(there))
        again = await connect(server.url).upload(film)
    assert (storage.begun, storage.whole == film.read_bytes(), min(told) > 2 * PART) == (1, True, True)
    assert (again.key, len([line for line in server.lines if line.startswith("PUT")])) == (f"uploads/{UPLOAD}/film.mp4", 5)


async def test_what_is_remembered_holds_nothing_secret(connect: Connect, film: Path, tmp_path: Path) -> None:
    storage = Storage(film.stat().st_size)
    async with serving(**storage.paths()) as server:
        await connect(server.url, key="ck_secret").upload(film)
    [kept] = (tmp_path / "state" / "clipstream" / "uploads").iterdir()
    assert kept.read_text() == UPLOAD


@pytest.mark.parametrize("damage", ["", "../../../admin", "[" * 100_000], ids=["nothing", "a path", "a flood"])
async def test_a_memory_that_makes_no_sense_is_none(connect: Connect, film: Path, tmp_path: Path, damage: str) -> None:
    storage = Storage(film.stat().st_size)
    async with serving(**storage.paths()) as server:
        client = connect(server.url)
        await client.upload(film)
        [kept] = (tmp_path / "state" / "clipstream" / "uploads").iterdir()
        kept.write_text(damage)
        await client.upload(film)
    assert storage.begun == 2


async def test_another_file_of_the_same_name_is_another_upload(connect: Connect, film: Path) -> None:
    storage = Storage(film.stat().st_size)
    async with serving(**storage.paths()) as server:
        client = connect(server.url)
        await client.upload(film)
        os.utime(film, ns=(1, 1))
        await client.upload(film)
        await client.upload(film, resume=False)
    assert storage.begun == 3


async def test_a_file_that_changes_while_it_is_sent_is_not_completed(connect: Connect, film: Path) -> None:
    storage = Storage(film.stat().st_size)

    async def meanwhile(request: web.Request) -> web.Response:
        film.write_bytes(os.urandom(1_500_000))
        return await storage.put(request)

    async with serving(**storage.paths(part1=meanwhile)) as server:
        with pytest.raises(Conflict, match="the file changed"):
            await connect(server.url).upload(film)
    assert not storage.complete


async def test_a_key_that_may_only_look_is_told_so(connect: Connect, film: Path) -> None:
    storage = Storage(film.stat().st_size, signs=False)
    async with serving(**storage.paths()) as server:
        with pytest.raises(Forbidden, match="jobs:write"):
            await connect(server.url).upload(film)


async def test_an_empty_file_and_none_at_all(connect: Connect, tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    async with serving() as server:
        client = connect(server.url)
        with pytest.raises(BadRequest, match="the file is empty"):
            await client.upload(tmp_path / "empty.mp4")
        with pytest.raises(FileNotFoundError):
            await client.create(tmp_path / "none.mp4", 1, 2)
    assert server.asked == []


MEASURED = """
import pathlib, sys
from clipstream import Clipstream
Clipstream(sys.argv[1]).upload(sys.argv[2])
print(pathlib.Path("/proc/self/status").read_text())
"""


async def test_a_large_file_is_not_held_in_memory(tmp_path: Path) -> None:
    large = tmp_path / "large.mp4"
    with large.open("wb") as file:
        file.truncate(120_000_000)
    storage = Storage(120_000_000, each=60_000_000)
    async with serving(**storage.paths()) as server:
        argv = (sys.executable, "-c", MEASURED, server.url, str(large))
        child = await asyncio.create_subprocess_exec(*argv, stdout=subprocess.PIPE)
        said, _ = await child.communicate()
    assert {number: len(part) for number, part in storage.parts.items()} == {1: 60_000_000, 2: 60_000_000}
    assert int(re.search(rb"VmHWM:\s+(\d+) kB", said)[1]) < 90_000
