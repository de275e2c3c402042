"""Whole jobs through the whole stack: what a client gets, judged by decoding it."""

import asyncio
import re
import subprocess
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import jiwer
import nats
import pytest
from nats.js import JetStreamContext

from libs.common.domain.events import ClipsRequested, decode
from libs.common.runtime.object_store import open_object_store
from libs.common.runtime.settings import CommonSettings, load
from tests.whole_stack import ACK_WAIT, System
from tools.sample import FRAME_RATE, SENTENCE, SENTENCE_END, SENTENCE_START

pytestmark = pytest.mark.timeout(600)
PLAIN = [jiwer.ToLowerCase(), jiwer.RemovePunctuation(), jiwer.RemoveMultipleSpaces(), jiwer.Strip(), jiwer.ReduceToListOfListOfWords()]
WORDS = jiwer.Compose(PLAIN)


def ffmpeg(*arguments: str) -> bytes:
    done = subprocess.run(["ffmpeg", "-nostdin", "-v", "error", *arguments], check=True, capture_output=True)
    assert done.stderr == b"", done.stderr
    return done.stdout


def frames(path: Path, *, at: float = 0.0) -> bytes:
    """The picture at that time, 64x36 grey."""
    return ffmpeg("-ss", str(at), "-i", str(path), "-frames:v", "1", "-vf", "scale=64:36", "-pix_fmt", "gray", "-f", "rawvideo", "-")


def difference(one: bytes, other: bytes) -> float:
    assert len(one) == len(other) > 0
    return sum(abs(a - b) for a, b in zip(one, other, strict=True)) / len(one)


def seconds(path: Path, stream: str) -> float:
    entries = ["-select_streams", stream, "-show_entries", "stream=duration", "-of", "csv=p=0"]
    return float(subprocess.run(["ffprobe", "-v", "error", *entries, str(path)], check=True, capture_output=True).stdout)


def frame_count(path: Path) -> int:
    entries = ["-count_frames", "-select_streams", "v:0", "-show_entries", "stream=nb_read_frames", "-of", "csv=p=0"]
    return int(subprocess.run(["ffprobe", "-v", "error", *entries, str(path)], check=True, capture_output=True).stdout)


async def test_a_clip_with_subtitles_burned_in(system: System, sample: Path, tmp_path: Path) -> None:
    job_id = await system.submit(sample, start=SENTENCE_START, end=SENTENCE_END, withSubtitles=True, burnSubtitles=True)
    job = await system.until(job_id, status="done")
    assert (job["progress"], job.get("warnings", [])) == (100, [])
    files = await result_files(system, job_id, tmp_path)
    clip_is_right(files["video"], sample)
    subtitles_are_right(files["srt"])
    burn_is_right(files["video"], files["burnedVideo"], files["srt"])
    travelled = [e["type"] for e in job["events"] if e["type"] in TRAVELLING]
    assert travelled == TRAVELLING[-len(travelled) :]


TRAVELLING = ["clips.requested", "source.ready", "clip.uploaded", "asr.done", "clip.burned"]


async def result_files(system: System, job_id: str, folder: Path) -> dict[str, Path]:
    result = (await system.result(job_id))["result"]
    return {name: await system.download(part["url"], folder / Path(part["key"]).name) for name, part in result.items() if name != "id"}


def clip_is_right(clip: Path, sample: Path) -> None:
    expected = round((SENTENCE_END - SENTENCE_START) * FRAME_RATE)
    assert frame_count(clip) == expected
    assert abs(seconds(clip, "v:0") - (SENTENCE_END - SENTENCE_START)) < 0.5 / FRAME_RATE
    assert abs(seconds(clip, "a:0") - (SENTENCE_END - SENTENCE_START)) < 0.05
    ffmpeg("-xerror", "-i", str(clip), "-f", "null", "-")
    assert clip.read_bytes().index(b"moov") < clip.read_bytes().index(b"mdat")
    first = -(-SENTENCE_START * FRAME_RATE // 1) / FRAME_RATE  # the first source frame at or after the start
    assert difference(frames(clip), frames(sample, at=first)) < 3
    assert difference(frames(clip, at=5), frames(sample, at=first + 5)) < 3


def cue_times(srt: str) -> list[tuple[float, float]]:
    stamps = re.findall(r"(\d+):(\d+):(\d+),(\d+) --> (\d+):(\d+):(\d+),(\d+)", srt)
    return [(int(h) * 3600 + int(m) * 60 + int(s) + int(ms) / 1000, int(h2) * 3600 + int(m2) * 60 + int(s2) + int(ms2) / 1000)
            for h, m, s, ms, h2, m2, s2, ms2 in stamps]  # fmt: skip


def subtitles_are_right(path: Path) -> None:
    srt = path.read_text()
    text = " ".join(line for line in srt.splitlines() if line and not line.isdecimal() and "-->" not in line)
    assert jiwer.wer(SENTENCE, text, reference_transform=WORDS, hypothesis_transform=WORDS) < 0.10, text
    times = cue_times(srt)
    assert times == sorted(times)
    assert all(0 <= begin < end <= SENTENCE_END - SENTENCE_START for begin, end in times)


def burn_is_right(clip: Path, burned: Path, srt: Path) -> None:
    """Where a cue is shown the lower part of the picture differs; where none is, it does not."""
    ffmpeg("-xerror", "-i", str(burned), "-f", "null", "-")
    assert frame_count(burned) == frame_count(clip)
    begin, end = cue_times(srt.read_text())[0]
    before, after = frames(clip, at=(begin + end) / 2), frames(burned, at=(begin + end) / 2)
    changed = [n // 64 for n, (a, b) in enumerate(zip(before, after, strict=True)) if abs(a - b) > 32]
    assert len(changed) > 20
    assert min(changed) >= 28, "only the lowest part of the picture carries subtitles"


async def test_subtitles_put_back_by_hand_are_burned_in_without_a_new_fetch_or_cut(system: System, small: Path, tmp_path: Path) -> None:
    job_id = await system.submit(small, start=2, end=5, withSubtitles=True, burnSubtitles=True, subtitleStyle="boxed")
    job = await system.until(job_id, status="done")
    assert [warning["code"] for warning in job["warnings"]] == ["NO_SPEECH"]
    cue = {"start": 0.5, "end": 2.5, "text": "Written by hand"}
    async with system.http.put(f"/api/jobs/{job_id}/subtitles", json={"language": "en", "cues": [cue]}) as answer:
        assert answer.status == 202, await answer.text()
    edited = await system.until(job_id, status="done")
    assert (edited["progress"], edited.get("warnings", []), edited["subtitlesEdited"]) == (100, [], True)
    types = [event["type"] for event in edited["events"]]
    assert types[-1] == "clip.burned"
    files = await result_files(system, job_id, tmp_path)
    assert set(files) == {"video", "burnedVideo", "srt", "vtt", "text", "json", "thumbnail"}
    assert "Written by hand" in files["srt"].read_text()
    assert files["text"].read_text() == "Written by hand\n"
    plain, drawn = frames(files["video"], at=1.5), frames(files["burnedVideo"], at=1.5)
    assert difference(plain, drawn) > difference(frames(files["video"], at=0.2), frames(files["burnedVideo"], at=0.2)) + 1


async def test_a_cut_on_a_keyframe_is_a_copy(system: System, small: Path, tmp_path: Path) -> None:
    job_id = await system.submit(small, start="00:00:02", end=5)
    job = await system.until(job_id, status="done")
    assert (job["cutPath"], job["actualStart"], job["actualEnd"]) == ("copy", 2.0, 5.0)
    files = await result_files(system, job_id, tmp_path)
    assert set(files) == {"video", "thumbnail"}
    assert frame_count(files["video"]) == 75


async def test_every_lane_leads_to_the_end_and_a_fast_cut_says_where_it_begins(system: System, small: Path) -> None:
    lanes = ("fast", "normal", "bulk")
    jobs = [await system.submit(small, start=2.4, end=4, accuracy="fast", priority=lane, metadata='{"for":"me"}') for lane in lanes]
    for lane, job_id in zip(lanes, jobs, strict=True):
        job = await system.until(job_id, status="done")
        assert (job["priority"], job["cutPath"], job["actualStart"], job["metadata"]) == (lane, "copy", 2.0, {"for": "me"})


async def test_fifty_jobs_at_once_all_end_done_and_once(system: System, small: Path) -> None:
    async with system.http.post("/api/uploads", json={"filename": "small.mp4", "size": small.stat().st_size}) as answer:
        upload = await answer.json()
        assert answer.status in {200, 201}, upload
    async with aiohttp.ClientSession() as storage:
        put = await storage.request(upload["method"], upload["url"], data=small.read_bytes(), headers=upload["headers"])
        assert put.status == 200
    jobs = await asyncio.gather(*(create(system, upload["uploadKey"], n) for n in range(50)))
    for job in await asyncio.gather(*(system.until(job_id, status="done") for job_id in jobs)):
        types = [event["type"] for event in job["events"]]
        assert [types.count(t) for t in ("clips.requested", "source.ready", "clip.uploaded")] == [1, 1, 1]
    assert len(set(jobs)) == 50


async def create(system: System, upload_key: str, number: int) -> str:
    start = number % 8
    body = {"sourceType": "upload", "uploadKey": upload_key, "start": start, "end": start + 1}
    async with system.http.post("/api/jobs", json=body) as answer:
        made = await answer.json()
        assert answer.status == 202, made
        assert answer.headers["Location"] == f"/api/jobs/{made['job']['id']}"
        job_id: str = made["job"]["id"]
        return job_id


@pytest.fixture
async def js(system: System) -> Any:
    client = await nats.connect(system.stack.environ["NATS_URL"])
    yield client.jetstream()
    await client.close()


async def test_a_file_that_is_no_video_fails_and_can_be_replayed(system: System, js: JetStreamContext, small: Path, tmp_path: Path) -> None:
    """The operator's story: the message is in DLQ; the client mends the upload; a replay runs the job again to its end."""
    text = tmp_path / "video.mp4"
    text.write_text("this is no video\n" * 999)
    job_id = await system.submit(text, start=0, end=1)
    job = await system.until(job_id, status="failed")
    assert job["error"]["code"] == "SOURCE_UNREADABLE"
    async with system.http.get(f"/api/jobs/{job_id}/result") as answer:
        assert answer.status == 422
        assert (await answer.json())["error"]["code"] == "SOURCE_UNREADABLE"
    letter = await dead_letter(js, job_id)
    assert letter.headers["Clip-Error-Code"] == "SOURCE_UNREADABLE"
    assert letter.headers["Clip-Original-Subject"] == "clips.requested"
    await replace_upload(system, letter.data, small)
    reply = await js._nc.request("clipstream.dlq.replay", f'{{"seq":{letter.seq}}}'.encode(), timeout=10)
    assert f'"jobId":"{job_id}"'.encode() in reply.data, reply
    done = await system.until(job_id, status="done")
    assert "job.replayed" in [e["type"] for e in done["events"]]


async def dead_letter(js: JetStreamContext, job_id: str) -> Any:
    info = await js.stream_info("DLQ")
    for seq in range(info.state.last_seq, 0, -1):
        letter = await js.get_msg("DLQ", seq)
        if letter.headers and letter.headers.get("Clip-Job-Id") == job_id:
            assert letter.subject == "dlq.clips.requested"
            return letter
    raise AssertionError(f"no dead letter of {job_id}")


async def replace_upload(system: System, body: bytes, file: Path) -> None:
    """Put a good file where the bad one was, as the operator could."""
    event = decode(body).event
    assert isinstance(event, ClipsRequested)
    assert event.upload_key
    async with open_object_store(load(CommonSettings, system.stack.environ)) as objects:
        await objects.sources.upload(event.upload_key, file, "video/mp4")


async def test_the_streams_and_consumers_stand_as_in_the_contract(js: JetStreamContext) -> None:
    clips = (await js.stream_info("CLIPS")).config
    assert (clips.retention, clips.discard, clips.storage, clips.max_age) == ("workqueue", "new", "file", 0)
    assert clips.duplicate_window == 600
    consumers = {c.name: c.config for c in await js.consumers_info("CLIPS")}
    assert set(consumers) == {f"{stage}{lane}" for stage in ("resolver", "clipper", "asr", "burner") for lane in ("", "-fast", "-bulk")}
    assert {(c.ack_wait, c.max_deliver, c.ack_policy) for c in consumers.values()} == {(ACK_WAIT, 20, "explicit")}
    assert (await js.stream_info("DLQ")).config.subjects == ["dlq.>", "canary.dlq"]
    assert (await js.stream_info("ADVISORIES")).config.retention == "limits"


async def test_kill_minus_nine_of_any_service_in_the_middle_costs_nothing(system: System, sample: Path, small: Path) -> None:
    """Each killed while it works on a job of its own; the supervisor starts it again; every job ends done with one answer a stage."""
    full = {"start": SENTENCE_START, "end": SENTENCE_END, "withSubtitles": True, "burnSubtitles": True}
    jobs: list[str] = []
    for n, (service, stage) in enumerate((("clipper", "clipping"), ("asr", "transcribing"), ("clipper", "burning"))):
        jobs.append(await system.submit(sample, **full | {"end": SENTENCE_END - n / FRAME_RATE}))  # else a kept transcript would do
        await system.until_started(jobs[-1], stage)
        system.kill(service)
    jobs.append(await system.submit(small, start=1, end=2))
    system.kill("resolver")
    system.kill("janitor")
    for job_id in jobs:
        await system.until(job_id, status="done")
    system.kill("api")
    for job_id in jobs:
        await one_answer_each(system, job_id)
    await system.until_ready()


async def one_answer_each(system: System, job_id: str) -> None:
    connection = await asyncpg.connect(system.stack.environ["DATABASE_URL"])
    try:
        rows = await connection.fetch("SELECT type FROM job_events WHERE job_id = $1::uuid", job_id)
    finally:
        await connection.close()
    types = [row["type"] for row in rows]
    assert all(types.count(t) <= 1 for t in TRAVELLING)
    assert types.count("clip.uploaded") == 1
