"""Files fetched: whole or not at all, under names of our own, gone on with where the storage breaks off."""

from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st

from clipstream import BadRequest, NotFound, Unavailable
from clipstream.downloading import targets
from clipstream.models import File
from tests.clients.client.servers import JOB, Connect, Handle, breaks_off, refuses, serving

FILM = bytes(range(256)) * 20_000


def gives(*files: str, **more: Any) -> Handle:
    """The result, its URLs on the same server."""

    async def answer(request: web.Request) -> web.Response:
        named = {name: {"key": f"results/{name}", "url": f"{request.url.origin()}/files/{name}?signature=s3cret"} for name in files}
        return web.json_response({"correlationId": "c-1", "result": {"id": JOB, **named, **more}})

    return answer


async def stored(request: web.Request) -> web.Response:
    """As S3 gives it, ranges too."""
    start = request.http_range.start or 0
    headers = {"etag": '"v1"'} | ({"content-range": f"bytes {start}-{len(FILM) - 1}/{len(FILM)}"} if start else {})
    return web.Response(status=206 if start else 200, body=FILM[start:], headers=headers)


async def unranged(_: web.Request) -> web.Response:
    return web.Response(body=FILM)


async def elsewhere(_: web.Request) -> web.Response:
    return web.Response(status=206, body=FILM[5:], headers={"content-range": f"bytes 5-{len(FILM) - 1}/{len(FILM)}"})


BROKEN = breaks_off(FILM, 2_000_000, etag='"v1"')


async def test_a_file_that_breaks_off_is_gone_on_with(connect: Connect, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    async with serving(**{f"api_jobs_{'JOB'}_result": gives("video"), "files_video": [BROKEN, stored]}) as server:
        places = await connect(server.url, key="ck_s").download(JOB, tmp_path, progress=lambda *bytes_: told.append(bytes_))
    assert places == {"video": tmp_path / "clip.mp4"}
    assert places["video"].read_bytes() == FILM
    fetched = server.asked[-1]
    assert 0 < int(fetched.headers["range"].removeprefix("bytes=").removesuffix("-")) <= 2_000_000
    assert (fetched.headers["if-range"], "authorization" in fetched.headers) == ('"v1"', False)
    assert told[-1] == (len(FILM), len(FILM))
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["clip.mp4"]


@pytest.mark.parametrize("again", [[unranged], [elsewhere, unranged]], ids=["all of it", "another part"])
async def test_what_comes_instead_of_the_rest_makes_no_wrong_file(connect: Connect, tmp_path: Path, again: list[Handle]) -> None:
    async with serving(api_jobs_JOB_result=gives("video"), files_video=[BROKEN, *again]) as server:
        places = await connect(server.url).download(JOB, tmp_path)
    assert places["video"].read_bytes() == FILM


async def test_a_url_that_is_good_no_more_is_asked_for_anew(connect: Connect, tmp_path: Path) -> None:
    expired = refuses(403, "AccessDenied")
    async with serving(api_jobs_JOB_result=gives("video"), files_video=[BROKEN, expired, stored]) as server:
        places = await connect(server.url).download(JOB, tmp_path)
    assert places["video"].read_bytes() == FILM
    assert server.lines.count(f"GET /api/jobs/{JOB}/result") == 2


async def test_a_file_that_never_comes_whole_leaves_nothing_behind(connect: Connect, tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").write_bytes(b"the one before")
    async with serving(api_jobs_JOB_result=gives("video"), files_video=breaks_off(FILM, 0)) as server:
        with pytest.raises(Unavailable) as caught:
            await connect(server.url, retries=1).download(JOB, tmp_path)
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir() if path.is_file()] == [("clip.mp4", b"the one before")]
    assert "s3cret" not in repr(caught.value) + str(caught.value)


async def test_no_log_opens_a_file(connect: Connect, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    async with serving(api_jobs_JOB_result=gives("video"), files_video=stored) as server:
        await connect(server.url, key="ck_s3cret").download(JOB, tmp_path)
    assert "/files/video?signed" in caplog.text
    assert "s3cret" not in caplog.text


async def test_the_server_names_no_file(connect: Connect, tmp_path: Path) -> None:
    renditions = {
        name: {"key": key, "url": "http://127.0.0.1:9/never"}
        for name, key in {"../../up": "a.mp4", "gif": "../../etc/passwd", "vertical": "x\x00.mp4\n"}.items()
    }
    async with serving(api_jobs_JOB_result=gives("video", "srt", renditions=renditions), files_video=stored, files_srt=stored) as server:
        places = await connect(server.url).download(JOB, tmp_path / "new", name="talk")
    assert places == {"video": tmp_path / "new" / "talk.mp4", "srt": tmp_path / "new" / "talk.srt"}


async def test_only_what_is_asked_for_is_fetched(connect: Connect, tmp_path: Path) -> None:
    async with serving(api_jobs_JOB_result=gives("video", "srt"), files_srt=stored) as server:
        client = connect(server.url)
        assert list(await client.download(JOB, tmp_path, only={"srt"})) == ["srt"]
        with pytest.raises(NotFound, match="the job has no gif"):
            await client.download(JOB, tmp_path, only=["gif"])


KEYS = st.text(max_size=30) | st.sampled_from(["r/clip.gif", "r/clip.vertical.mp4", "r/../x.mp3", "/etc/passwd"])


@settings(max_examples=60)
@given(st.dictionaries(st.text(max_size=25) | st.sampled_from(["video", "720p", "gif"]), KEYS, max_size=5), st.text(max_size=12))
def test_no_name_leaves_the_folder_and_no_two_files_share_one(keys: dict[str, str], stem: str) -> None:
    files = {name: File(key=key, url="") for name, key in keys.items()}
    try:
        places = targets(files, Path("out"), stem, None)
    except BadRequest:
        assert not stem or stem in {".", ".."} or set(stem) & set("/\\\0")
        return
    assert {place.parent for place in places.values()} <= {Path("out")}
    assert all(place.name.startswith(stem) and place.name != stem for place in places.values())
    assert len(set(places.values())) == len(places)
