"""Looks at sources that are no job's yet: what is found, how much is read for it, and what is said when nothing can be."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.domain.failures import Code, Failure
from libs.common.domain.probing import SUBJECT, Format, ProbeAnswer, ProbeRequest, Source, answer_of
from libs.common.domain.values import VideoTrack
from libs.common.runtime.background import running
from libs.common.runtime.embedded import LocalServers
from libs.common.runtime.object_store import Bucket, ObjectStore
from libs.common.runtime.request_reply import ask
from libs.common.runtime.s3_calls import BYTES
from libs.common.runtime.service import Connections, connections
from libs.common.runtime.settings import load
from services.resolver import probing
from services.resolver.probing import PROBES_AT_ONCE, Prober, bounded, judged, serve_probes
from services.resolver.settings import ResolverSettings
from services.resolver.sources import Caps
from services.resolver.tools import Tools
from tests import media

CAPS = Caps(max_bytes=1000, max_seconds=7200, min_clip_seconds=0.5)
BY_URL = ProbeRequest(source=Source(source_type="youtube", source_url="https://example.com/v"))
NOTHING = ProbeRequest(source=Source(source_type="upload", upload_key="uploads/nobody/file.mp4"))


@pytest.fixture(scope="session")
def settings(servers: dict[str, str]) -> ResolverSettings:
    return load(ResolverSettings, {**servers, "FFPROBE_BIN": media.FFPROBE, "STORAGE_UPLOAD_ATTEMPTS": "1", "ENABLE_YTDLP": "true"})


@pytest.fixture
def prober(settings: ResolverSettings, store: ObjectStore, tools: Tools) -> Prober:
    return Prober(settings=settings, bucket=store.sources, describer=tools.describer)


@pytest.fixture(scope="session")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """90 s, a keyframe every 2 s."""
    return media.make(tmp_path_factory.mktemp("film") / "film.mp4", frames=900, rate="10", video=media.gop(20), audio=None)


@pytest.fixture(scope="session")
def films(film: Path) -> dict[str, bytes]:
    others = {
        "mkv": (),
        "ts": (),
        "late.ts": ("-output_ts_offset", "900"),
        "late.mp4": ("-output_ts_offset", "900"),
        "avi": ("-bsf:v", "h264_mp4toannexb"),
    }
    made = {name: media.remuxed(film, film.with_name(f"film.{name}"), *options) for name, options in others.items()}
    return {name: path.read_bytes() for name, path in {"mp4": film, **made}.items()}


async def put(bucket: Bucket, content: bytes) -> str:
    key = f"uploads/{uuid4()}/film"
    await bucket.put(key, content, "video/mp4")
    return key


async def looked(prober: Prober, asked: ProbeRequest) -> ProbeAnswer:
    return answer_of(await prober.reply(msgspec.json.encode(asked), "c-1"))


async def keyframes(prober: Prober, content: bytes, start: float, end: float | None) -> list[float]:
    source = Source(source_type="upload", upload_key=await put(prober.bucket, content))
    answer = await looked(prober, ProbeRequest(source=source, start=start, end=end))
    assert answer.refusal is None
    return [round(time, 2) for time in answer.keyframes]


@pytest.mark.parametrize("name", ["mp4", "mkv", "ts", "late.ts", "late.mp4"])
@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (41, 45, [40, 42, 44, 46]),
        (40, 44, [40, 42, 44]),
        (0, 0.5, [0, 2]),
        (0, None, [0]),
        (5, None, [4, 6]),
        (89, 90, [88]),
        (10, 80, [10, 12, 14, 16, 18, 20, 22, 24, 80]),
    ],
)
async def test_the_keyframes_around_both_ends_are_told(
    prober: Prober, films: dict[str, bytes], name: str, start: float, end: float | None, expected: list[float]
) -> None:
    assert await keyframes(prober, films[name], start, end) == expected


@pytest.mark.parametrize("name", ["noise.mp4", "noise.mkv"])
async def test_keyframes_cost_little_of_a_large_file(prober: Prober, tmp_path: Path, name: str) -> None:
    """90 s, about 39 MB. A transport stream has no index: there the search alone costs some 20 MB, however large it is."""
    noise = "testsrc2=s=320x180:r=10:d=90,noise=alls=60:allf=t"
    content = media.converted(tmp_path / name, "-f", "lavfi", "-i", noise, *media.gop(20, bframes=0)).read_bytes()
    source = Source(source_type="upload", upload_key=await put(prober.bucket, content))
    costs = []
    for times in ({}, {"start": 41.0, "end": 45.0}):
        before = BYTES.labels("read")._value.get()
        found = await looked(prober, ProbeRequest(source=source, **times))
        costs.append(BYTES.labels("read")._value.get() - before)
    assert len(found.keyframes) == 4
    assert 0 < costs[1] - costs[0] < len(content) / 4


async def test_sound_alone_has_no_keyframes(prober: Prober, tmp_path: Path) -> None:
    sound = media.make(tmp_path / "sound.mp4", video=None, frames=100, rate="10").read_bytes()
    assert await keyframes(prober, sound, 1, 3) == []


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"source":{"sourceType":"tape"}}', b'"\xff"', b'{"start":1}'])
async def test_what_is_no_request_is_answered_all_the_same(prober: Prober, body: bytes) -> None:
    with pytest.raises(Failure) as raised:
        answer_of(await prober.reply(body, ""))
    assert raised.value.code is Code.BAD_REQUEST


@given(st.binary())
def test_what_is_no_reply_is_internal(body: bytes) -> None:
    with pytest.raises(Failure) as raised:
        answer_of(body)
    assert raised.value.code is Code.INTERNAL


async def test_another_job_s_source_is_no_upload(prober: Prober) -> None:
    theirs = ProbeRequest(source=Source(source_type="upload", upload_key=f"sources/{uuid4()}/source.mp4"))
    refused = (await looked(prober, theirs)).refusal
    assert refused
    assert (refused.code, refused.message) == (Code.SOURCE_UNREADABLE, "the request names no upload")


async def test_what_may_not_be_fetched_is_not_looked_at(servers: dict[str, str], prober: Prober) -> None:
    """Whoever asked: the resolver goes by its own settings."""

    async def never(_url: str, _start: float | None, _end: float | None) -> ProbeAnswer:
        raise AssertionError

    inside = ProbeRequest(source=Source(source_type="youtube", source_url="http://127.0.0.1/"))
    refused = [
        await looked(prober, BY_URL),
        await looked(replace(prober, settings=load(ResolverSettings, servers), look_at_url=never), BY_URL),
        await looked(replace(prober, look_at_url=never), inside),
    ]
    assert [answer.refusal and answer.refusal.code for answer in refused] == [Code.YTDLP_DISABLED, Code.YTDLP_DISABLED, Code.SSRF_BLOCKED]


async def test_an_outage_of_s3_is_no_word_about_the_source(prober: Prober, local: LocalServers) -> None:
    await local.s3.kill()
    try:
        with pytest.raises(Failure) as raised:
            await looked(prober, NOTHING)
    finally:
        await local.s3.start()
    assert raised.value.code is Code.STORAGE_UNAVAILABLE


async def test_a_look_that_takes_too_long_is_ended(
    settings: ResolverSettings, store: ObjectStore, tools: Tools, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = asyncio.Event()

    async def forever(_url: str, _start: float | None, _end: float | None) -> ProbeAnswer:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            ended.set()
        raise AssertionError

    monkeypatch.setattr(probing, "SECONDS", 0.05)
    with pytest.raises(Failure) as raised:
        await looked(Prober(settings=settings, bucket=store.sources, describer=tools.describer, look_at_url=forever), BY_URL)
    assert raised.value.code is Code.RETRYABLE_ERROR
    assert ended.is_set()


async def test_an_unexpected_error_keeps_its_details(settings: ResolverSettings, store: ObjectStore, tools: Tools) -> None:
    async def broken(_url: str, _start: float | None, _end: float | None) -> ProbeAnswer:
        raise KeyError("s3cret")

    said = await Prober(settings=settings, bucket=store.sources, describer=tools.describer, look_at_url=broken).reply(
        msgspec.json.encode(BY_URL), ""
    )
    assert b"s3cret" not in said
    with pytest.raises(Failure) as raised:
        answer_of(said)
    assert raised.value.code is Code.INTERNAL


@pytest.fixture
async def to(settings: ResolverSettings) -> AsyncIterator[Connections]:
    async with connections(settings, "tests") as c:
        await c.health.until_up()
        yield c


async def test_beyond_so_many_at_once_who_asks_is_told_to_come_back(settings: ResolverSettings, tools: Tools, to: Connections) -> None:
    waiting, gate = asyncio.Semaphore(0), asyncio.Event()

    async def held(_url: str, _start: float | None, _end: float | None) -> ProbeAnswer:
        waiting.release()
        await gate.wait()
        return ProbeAnswer(duration=5)

    prober = Prober(settings=settings, bucket=to.objects.sources, describer=tools.describer, look_at_url=held)
    async with running(serve_probes(prober, to)):
        asking = [asyncio.create_task(asked(to)) for _ in range(PROBES_AT_ONCE)]
        async with asyncio.timeout(40):
            for _ in asking:
                await waiting.acquire()
            with pytest.raises(Failure) as raised:
                await asked(to)
            gate.set()
            answers = await asyncio.gather(*asking)
            assert await asked(to) == ProbeAnswer(duration=5)
    assert (raised.value.code, raised.value.message) == (Code.RETRYABLE_ERROR, "too many sources are being looked at; ask again")
    assert answers == [ProbeAnswer(duration=5)] * PROBES_AT_ONCE


async def asked(to: Connections) -> ProbeAnswer:
    """Once somebody serves."""
    while True:
        try:
            return answer_of(await ask(to.bus.client, SUBJECT, msgspec.json.encode(BY_URL), correlation_id="c-1", seconds=10))
        except Failure as failure:
            if "not running" not in failure.message:
                raise


async def test_a_service_that_ends_leaves_nobody_waiting_for_it(settings: ResolverSettings, tools: Tools, to: Connections) -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def held(_url: str, _start: float | None, _end: float | None) -> ProbeAnswer:
        begun.set()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            ended.set()
        raise AssertionError

    prober = Prober(settings=settings, bucket=to.objects.sources, describer=tools.describer, look_at_url=held)
    service, asking = asyncio.create_task(serve_probes(prober, to)), asyncio.create_task(asked(to))
    async with asyncio.timeout(40):
        await begun.wait()
        service.cancel()
        await asyncio.wait([service])
        assert ended.is_set()
        with pytest.raises(Failure) as raised:
            await ask(to.bus.client, SUBJECT, b"", correlation_id="", seconds=5)
    asking.cancel()
    assert "not running" in raised.value.message


@pytest.mark.parametrize(
    ("found", "start", "end", "code"),
    [
        (ProbeAnswer(duration=60, size=1000), None, None, None),
        (ProbeAnswer(duration=60, size=1001), None, None, Code.INPUT_TOO_LARGE),
        (ProbeAnswer(duration=60, size=1001, section=True), 1, 3, None),
        (ProbeAnswer(size=0), None, None, Code.SOURCE_UNREADABLE),
        (ProbeAnswer(duration=7201, section=True), 1, 3, Code.INPUT_TOO_LARGE),
        (ProbeAnswer(duration=60), 59, 61, Code.RANGE_OUTSIDE_SOURCE),
        (ProbeAnswer(duration=60), 60, None, Code.RANGE_OUTSIDE_SOURCE),
        (ProbeAnswer(duration=60), 59, 60.4, None),
        (ProbeAnswer(), 5000, 5002, None),
        (ProbeAnswer(video=VideoTrack(codec="h264", width=16000, height=16000, frame_rate=25)), None, None, Code.INPUT_TOO_LARGE),
    ],
)
def test_a_source_is_held_against_what_a_job_would_be(
    found: ProbeAnswer, start: float | None, end: float | None, code: Code | None
) -> None:
    refusal = judged(found, ProbeRequest(source=BY_URL.source, start=start, end=end), CAPS).refusal
    assert (refusal and refusal.code) == code


def test_an_answer_always_fits_in_a_message() -> None:
    offered = Format(id="x" * 300, container="x" * 300, codecs="x" * 600)
    endless = ProbeAnswer(title="x" * 9_000_000, formats=(offered,) * 100_000, keyframes=(1.5,) * 100_000)
    assert len(msgspec.json.encode(bounded(endless))) < 1 << 20
