"""POST /api/probe: what would come of a job, told by a resolver over NATS, and what is said when none can tell."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from libs.common.domain.failures import Code, Failure
from libs.common.domain.probing import SUBJECT, Format, ProbeAnswer
from libs.common.runtime import background
from libs.common.runtime.embedded import LocalServers, embedded_servers
from libs.common.runtime.service import Connections
from libs.common.runtime.settings import load
from libs.common.runtime.warm_process import Warm, open_warm
from services.resolver.probing import LookAtUrl, Prober, serve_probes
from services.resolver.settings import ResolverSettings
from tests import media
from tests.api.conftest import Running, running
from tests.api.test_jobs import code_of, uploaded_key
from tests.api.test_schema import document, fits
from tests.uploading import whole_upload

URL = {"sourceType": "youtube", "youtubeUrl": "https://youtu.be/x?t=5"}
ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="session")
async def describer() -> AsyncIterator[Warm]:
    async with open_warm("services.resolver.description", workers=2) as opened:
        yield opened


@pytest.fixture(scope="session")
def film(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """10 s, a keyframe every 2 s."""
    return media.make(tmp_path_factory.mktemp("film") / "film.mp4").read_bytes()


@asynccontextmanager
async def resolver(api: Running, to: Connections, describer: Warm, **given: Any) -> AsyncIterator[None]:
    """A resolver's probing service, with the settings' FFPROBE and the like, while inside."""
    settings = load(ResolverSettings, {**api.environ, "FFPROBE_BIN": media.FFPROBE, "ENABLE_YTDLP": "true"})
    prober = Prober(settings=settings, bucket=to.objects.sources, describer=describer, **given)
    try:
        async with background.running(serve_probes(prober, to)):
            await until_served(to)
            yield
    finally:
        await to.bus.client.flush()


async def until_served(to: Connections) -> None:
    async with asyncio.timeout(40):
        while not [s for s in to.bus.client._subs.values() if s.subject == SUBJECT]:
            await asyncio.sleep(0)
        await to.bus.client.flush()


async def probed(http: httpx.AsyncClient, **body: Any) -> httpx.Response:
    return await http.post("/api/probe", json=body)


@asynccontextmanager
async def by_url(api: Running, describer: Warm, look: LookAtUrl) -> AsyncIterator[httpx.AsyncClient]:
    """An API that takes URLs, and a resolver that looks at them like this."""
    async with running(api.environ, ENABLE_YTDLP="true") as (http, to):
        await to.health.until_up()
        async with resolver(api, to, describer, look_at_url=look):
            yield http


def saying(answer: ProbeAnswer | Failure) -> Callable[[str, float | None, float | None], Awaitable[ProbeAnswer]]:
    async def look(_url: str, _start: float | None, _end: float | None) -> ProbeAnswer:
        if isinstance(answer, Failure):
            raise answer
        return answer

    return look


async def test_an_upload_is_described_and_nothing_is_kept(api: Running, describer: Warm, film: bytes) -> None:
    key = await uploaded_key(api, film)
    before = await api.counted("clip_jobs_created_total")
    async with resolver(api, api.to, describer):
        answer = await probed(api.http, sourceType="upload", uploadKey=key, start=3, end="0:05")
    assert answer.status_code == 200
    probe = answer.json()["probe"]
    assert probe == {
        "accepted": True,
        "duration": pytest.approx(10, abs=0.05),
        "size": len(film),
        "container": "mov",
        "video": {"codec": "h264", "width": 160, "height": 96, "frameRate": 30.0},
        "audio": {"codec": "aac", "sampleRate": 48000, "channels": 1},
        "keyframes": [2.0, 4.0, 6.0],
        "section": False,
    }
    described = await document(api)
    schema = described["paths"]["/api/probe"]["post"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert fits(answer.json(), schema, described)
    assert answer.json()["correlationId"] == answer.headers["x-correlation-id"]
    assert await api.counted("clip_jobs_created_total") == before


@pytest.mark.parametrize(
    ("start", "end", "refused"), [(None, None, None), (3, None, None), (9, 11, "RANGE_OUTSIDE_SOURCE"), (12, None, "RANGE_OUTSIDE_SOURCE")]
)
async def test_a_range_that_a_job_would_be_refused_for_is_told(
    api: Running, describer: Warm, film: bytes, start: float | None, end: float | None, refused: str | None
) -> None:
    times = {name: time for name, time in (("start", start), ("end", end)) if time is not None}
    async with resolver(api, api.to, describer):
        answer = await probed(api.http, sourceType="upload", uploadKey=await uploaded_key(api, film), **times)
    probe = answer.json()["probe"]
    assert (answer.status_code, probe["accepted"], probe.get("refusal", {}).get("code")) == (200, refused is None, refused)
    assert probe["duration"] == pytest.approx(10, abs=0.05)
    assert refused is None or probe["refusal"]["hint"] == "Choose start and end inside the source's duration."


@pytest.mark.parametrize(("gone", "message"), [(False, "no video or audio file"), (True, "not there")])
async def test_a_source_that_is_none_is_no_error_of_the_request(api: Running, describer: Warm, gone: bool, message: str) -> None:
    key = await uploaded_key(api, b"Dear sir or madam")
    if gone:
        await api.to.objects.sources.delete([key])
    async with resolver(api, api.to, describer):
        answer = await probed(api.http, sourceType="upload", uploadKey=key)
    probe = answer.json()["probe"]
    assert (answer.status_code, probe["accepted"], probe["refusal"]["code"]) == (200, False, "SOURCE_UNREADABLE")
    assert message in probe["refusal"]["message"]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (URL, (403, "YTDLP_DISABLED", "sourceType")),
        ({"sourceType": "upload"}, (400, "VALIDATION_FAILED", "uploadKey")),
        ({"sourceType": "upload", "uploadKey": f"uploads/{uuid4()}/a.mp4", "end": 3}, (400, "VALIDATION_FAILED", "start")),
        ({"sourceType": "upload", "uploadKey": f"uploads/{uuid4()}/a.mp4", "start": 3, "end": 900}, (400, "CLIP_TOO_LONG", "end")),
        (
            {"sourceType": "upload", "uploadKey": f"uploads/{uuid4()}/a.mp4", "withSubtitles": True},
            (400, "VALIDATION_FAILED", "withSubtitles"),
        ),
        ({"sourceType": "upload", "uploadKey": f"uploads/{uuid4()}/unknown.mp4"}, (400, "VALIDATION_FAILED", "uploadKey")),
    ],
)
async def test_a_request_that_is_itself_wrong_is_refused(api: Running, body: dict[str, Any], expected: tuple[int, str, str]) -> None:
    assert code_of(await probed(api.http, **body)) == expected


async def test_without_a_resolver_the_answer_is_to_come_back(api: Running) -> None:
    key = await uploaded_key(api)
    began = time.monotonic()
    answer = await probed(api.http, sourceType="upload", uploadKey=key)
    assert code_of(answer) == (503, "RETRYABLE_ERROR", None)
    assert answer.headers["retry-after"] == "2"
    assert time.monotonic() - began < 10  # a look may take thirty


async def test_without_nats_the_answer_is_to_come_back(api: Running) -> None:
    async with running(api.environ, NATS_URL="nats://127.0.0.1:9") as (http, _):
        key = await uploaded_key(api)
        began = time.monotonic()
        assert code_of(await probed(http, sourceType="upload", uploadKey=key)) == (503, "RETRYABLE_ERROR", None)
        assert time.monotonic() - began < 10  # a look may take thirty


async def test_a_url_is_looked_at_as_the_api_checked_it(api: Running, describer: Warm) -> None:
    asked: list[tuple[str, float | None, float | None]] = []

    async def look(url: str, start: float | None, end: float | None) -> ProbeAnswer:
        asked.append((url, start, end))
        offered = Format(id="18", container="mp4", width=640, height=360, codecs="avc1, mp4a")
        return ProbeAnswer(title="A talk", duration=3600, size=9 << 30, section=True, formats=(offered,))

    async with by_url(api, describer, look) as http:
        probe = (await probed(http, **URL)).json()["probe"]
    assert asked == [("https://youtu.be/x?t=5", 5.0, None)]
    assert probe == {
        "accepted": True,
        "title": "A talk",
        "duration": 3600,
        "size": 9 << 30,
        "section": True,
        "formats": [{"id": "18", "container": "mp4", "width": 640, "height": 360, "codecs": "avc1, mp4a"}],
    }


async def test_what_a_site_says_in_the_end_is_told_and_what_may_pass_is_an_error(api: Running, describer: Warm) -> None:
    private = Failure(Code.SOURCE_FORBIDDEN, "the site wants a sign-in", hint="Ask who owns it.")
    async with by_url(api, describer, saying(private)) as http:
        answer = await probed(http, **URL)
        assert answer.json()["probe"]["refusal"] == {
            "code": "SOURCE_FORBIDDEN",
            "message": "the site wants a sign-in",
            "hint": "Ask who owns it.",
        }
    async with by_url(api, describer, saying(Failure(Code.RETRYABLE_ERROR, "the site is down", retry_after=40))) as http:
        answer = await probed(http, **URL)
        assert (code_of(answer), answer.headers["retry-after"]) == ((503, "RETRYABLE_ERROR", None), "40")
    async with by_url(api, describer, saying(ProbeAnswer(duration=9000))) as http:
        assert (await probed(http, **URL)).json()["probe"]["refusal"]["code"] == "INPUT_TOO_LARGE"


async def test_a_secret_in_a_url_comes_out_nowhere(api: Running, describer: Warm, capfd: pytest.CaptureFixture[str]) -> None:
    secret = "https://example.com/v.mp4?signature=s3cret"
    async with by_url(api, describer, saying(ProbeAnswer(duration=60))) as http:
        said = [
            await probed(http, sourceType="youtube", youtubeUrl=secret),
            await probed(http, sourceType="youtube", youtubeUrl=secret, end=1),
        ]
        made = await http.post("/api/jobs", json={"sourceType": "youtube", "youtubeUrl": secret, "start": 1, "end": 3})
        said += [made, await http.get(made.headers["location"])]
    assert [answer.status_code for answer in said] == [200, 400, 202, 200]
    assert said[3].json()["job"]["sourceType"] == "youtube"
    shown = "".join([*(answer.text for answer in said), *capfd.readouterr()])
    assert "request" in shown
    assert "s3cret" not in shown


async def test_a_resolver_process_answers(servers: dict[str, str], tmp_path: Path, film: bytes) -> None:
    others = {name: value for name, value in servers.items() if name != "NATS_URL"}
    async with embedded_servers(tmp_path, others) as own, running(own.variables) as (http, to):
        await to.objects.ensure_buckets()
        key = await whole_upload(to, film)
        async with process(own):
            async with asyncio.timeout(90):
                while (answer := await probed(http, sourceType="upload", uploadKey=key)).status_code == 503:
                    await asyncio.sleep(0.1)
        assert answer.json()["probe"]["accepted"] is True
        assert code_of(await probed(http, sourceType="upload", uploadKey=key)) == (503, "RETRYABLE_ERROR", None)


@asynccontextmanager
async def process(own: LocalServers) -> AsyncIterator[None]:
    """`python -m services.resolver`, which must end well when it is asked to."""
    environ = {**os.environ, **own.variables, "FFPROBE_BIN": media.FFPROBE}
    started = await asyncio.create_subprocess_exec(sys.executable, "-m", "services.resolver", cwd=ROOT, env=environ)
    try:
        yield
        started.send_signal(signal.SIGTERM)
        async with asyncio.timeout(60):
            assert await started.wait() == 0
    finally:
        if started.returncode is None:
            started.kill()
            await started.wait()
