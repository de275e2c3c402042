"""What the operator reads of the dead letters: a line each, all of one, and never more than a terminal or an answer can take."""

import asyncio
import json
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from libs.common.domain.events import JobFailed, StageName, encode
from libs.common.domain.failures import Code, Failure
from libs.common.domain.subjects import DLQ, headers_of
from services.janitor import replay
from tests.builders import envelope, ready, requested
from tests.fakes import MemoryDelivery
from tests.janitor.conftest import World
from tests.janitor.desk import asked, refused
from tests.janitor.steps import dead_letter, lane, letters, messages
from tests.thorough import IS_THOROUGH

TRACE = f"00-{'1' * 32}-{'2' * 16}-01"


LETTERS, AT_ONCE = (450, 200) if IS_THOROUGH else (45, 20)
"""More than two answers hold; it was tried with 1,000, too."""


async def hand_published(world: World, headers: bytes, body: bytes) -> None:
    """A message on source.ready with headers as no library of ours would send them."""
    url = urlsplit(world.settings.nats_url.reveal())
    reader, writer = await asyncio.open_connection(url.hostname, url.port)
    own = {"headers": True, "verbose": False, "pedantic": False, "user": url.username, "pass": url.password, "auth_token": url.username}
    head = b"NATS/1.0\r\n" + headers + b"\r\n"
    writer.write(b"CONNECT " + json.dumps(own).encode() + b"\r\n")
    writer.write(b"HPUB source.ready %d %d\r\n" % (len(head), len(head) + len(body)) + head + body + b"\r\nPING\r\n")
    await writer.drain()
    await reader.readuntil(b"PONG\r\n")
    writer.close()


async def test_a_letter_in_a_line_tells_what_failed_when_why_and_whether_it_can_run(served: World) -> None:
    cause = envelope(ready(), uuid4(), traceparent=TRACE)
    await served.store.append(envelope(requested(), cause.job_id))
    await served.store.append(cause)
    await served.store.append(envelope(JobFailed(stage=StageName.CLIPPER, code="SOURCE_UNREADABLE", message="no"), cause.job_id))
    await served.bus.bury(MemoryDelivery.of(cause, sequence=7), StageName.CLIPPER, Failure(Code.SOURCE_UNREADABLE, "it has no picture"), 3)
    [line] = (await asked(served, "list"))["letters"]
    [message] = await messages(served.bus, DLQ)
    assert line == {
        "seq": 1,
        "at": message.stored_at.replace(microsecond=0).isoformat().replace("+00:00", "Z"),
        "jobId": str(cause.job_id),
        "job": "failed",
        "stage": "clipper",
        "code": "SOURCE_UNREADABLE",
        "message": "it has no picture",
        "attempts": 3,
        "subject": "source.ready",
        "priority": "normal",
        "correlationId": cause.correlation_id,
        "trace": TRACE,
        "replayable": True,
    }


async def test_the_answer_has_a_line_for_each_letter(served: World) -> None:
    for _ in range(3):
        await dead_letter(served)
    said = (await served.bus.client.request("clipstream.dlq.list", b"{}", timeout=5)).data
    assert [line.startswith(b'{"seq":') for line in said.splitlines()] == [False, True, True, True, False]


async def test_a_page_says_what_to_send_for_the_next(served: World) -> None:
    for stage in (StageName.RESOLVER, StageName.CLIPPER, StageName.CLIPPER, StageName.CLIPPER):
        await dead_letter(served, stage=stage)
    first = await asked(served, "list", limit=2, stage="clipper")
    assert [line["seq"] for line in first["letters"]] == [2, 3]
    second = await asked(served, "list", **first["next"])
    assert [line["seq"] for line in second["letters"]] == [4]
    assert "next" not in second


async def test_why_a_letter_can_not_run_is_in_its_line(served: World) -> None:
    cause = await dead_letter(served)
    await asked(served, "replay", seq=1)
    await served.bus.bury(MemoryDelivery.of(cause, sequence=8), StageName.CLIPPER, Failure(Code.SOURCE_UNREADABLE, "no"), 1)
    [line] = (await asked(served, "list"))["letters"]
    assert (line["job"], line["replayable"]) == ("processing", False)
    assert line["whyNot"] == "its failure was replayed already: the job is processing in run 2"


async def test_a_letter_is_shown_with_its_headers_and_its_body(served: World) -> None:
    cause = await dead_letter(served)
    shown = await asked(served, "show", seq=1)
    assert shown["letter"] == (await asked(served, "list"))["letters"][0]
    assert shown["body"]["jobId"] == str(cause.job_id)
    assert shown["bodySize"] == len(encode(cause))
    assert shown["headers"]["Clip-Original-Msg-Id"] == headers_of(cause)["Nats-Msg-Id"]
    assert await refused(served, "show", b'{"seq":2}') == ("404", "there is no such dead letter")


async def test_what_can_not_be_read_is_listed_and_shown_all_the_same(served: World) -> None:
    hostile = {"Clip-Attempts": "9" * 5000, "Clip-Stage": "\x1b[31m" * 99, "Clip-Error-Message": "\x07" * 9000, "traceparent": "\x1b" * 900}
    await served.bus.js.publish("dlq.source.ready", b"\xff\x00" * 400_000, headers=hostile)
    await served.bus.js.publish("dlq.x", b'{"a":' * 100_000)
    first, second = (await asked(served, "list"))["letters"]
    assert (first["job"], first["stage"], first["replayable"]) == ("unknown", " [31m" * 25 + " [3"[:3], False)
    assert (len(first["message"]), first["attempts"], first["trace"].strip()) == (500, 999_999_999, "")
    assert second["whyNot"] == "its body can't be read: nested too deep"
    shown = await asked(served, "show", seq=1)
    assert (len(shown["body"]), shown["bodySize"]) == (64 * 1024, 800_000)


HOSTILE = {
    "not ASCII": "X-Næme: Grüße\r\nX-Good: Grüße\r\n".encode(),
    "not UTF-8": b"X-Good: \xff\xfe\r\n",
    "no name of a header": b"(a): b\r\n: c\r\nno colon\r\nX-Good: d\r\n",
    "folded over lines": b"X-Good: a\r\n  b\r\n",
    "a lone newline": b"X-Good: a\nNats-Msg-Id: evil\r\n",
    "orders to the server": b"Nats-Expected-Stream: CLIPS\r\nNats-Msg-Id: m\r\nX-Good: e\r\n",
    "huge": b"".join(b"X-%d: %s\r\n" % (n, b"v" * 3000) for n in range(20)) + b"X-Good: f\r\n",
}


async def test_a_message_with_hostile_headers_is_buried_all_the_same(served: World) -> None:
    for sequence, (what, headers) in enumerate(HOSTILE.items(), start=1):
        await hand_published(served, headers, b"{broken")
        delivery = await lane(served, StageName.CLIPPER).take(wait=2)
        assert delivery is not None, what
        await served.bus.bury(delivery, StageName.CLIPPER, Failure(Code.BAD_REQUEST, "the message can't be read"), 1)
        await delivery.term("BAD_REQUEST")
        assert await letters(served) == list(range(1, sequence + 1)), what
    for seq, what in enumerate(HOSTILE, start=1):
        shown = await asked(served, "show", seq=seq)
        assert shown["headers"].items() >= {"Clip-Error-Code": "BAD_REQUEST", "Clip-Stage": "clipper", "Clip-Attempts": "1"}.items(), what
        assert shown["body"] == "{broken", what


async def test_a_message_as_large_as_the_server_takes_is_buried_with_what_fits(served: World) -> None:
    largest = served.bus.client.max_payload - 100
    await served.bus.js.publish("source.ready", b"x" * largest)
    delivery = await lane(served, StageName.CLIPPER).take(wait=2)
    assert delivery is not None
    await served.bus.bury(delivery, StageName.CLIPPER, Failure(Code.BAD_REQUEST, "the message can't be read"), 1)
    [letter] = await messages(served.bus, DLQ)
    assert letter.headers["Clip-Body-Cut"] == str(largest)
    assert len(letter.body) > largest - 1000


async def test_hundreds_of_letters_are_listed_and_replayed_page_by_page(served: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "AT_ONCE", AT_ONCE)
    causes = await hundreds(served)
    seen, request = 0, {"limit": AT_ONCE}
    while request:
        page = await asked(served, "list", **request)
        seen, request = seen + len(page["letters"]), page.get("next", {})
    assert seen == len(causes)
    done: list[str] = []
    following: dict[str, object] = {"all": True, "by": "ada"}
    while following:
        answer = await asked(served, "replay", **following)
        assert answer["refused"] == []
        done, following = [*done, *(found["jobId"] for found in answer["replayed"])], answer.get("next", {})
    assert sorted(done) == sorted(str(cause) for cause in causes)
    assert await letters(served) == []
    assert (await served.bus.js.stream_info("CLIPS")).state.messages == len(causes)


async def hundreds(world: World) -> list[object]:
    """Jobs that failed at the clipper, each with its letter."""
    jobs = [uuid4() for _ in range(LETTERS)]
    for n in range(0, len(jobs), 50):
        await asyncio.gather(*(one(world, job_id, number) for number, job_id in enumerate(jobs[n : n + 50], start=n)))
    return [*jobs]


async def one(world: World, job_id: object, number: int) -> None:
    cause = envelope(ready(), job_id)  # type: ignore[arg-type]
    for event in (envelope(requested(), cause.job_id), envelope(failed(), cause.job_id)):
        await world.store.append(event)
    await world.bus.bury(MemoryDelivery.of(cause, sequence=number + 1), StageName.CLIPPER, Failure(Code.SOURCE_UNREADABLE, "no"), 1)


def failed() -> JobFailed:
    return JobFailed(stage=StageName.CLIPPER, code="SOURCE_UNREADABLE", message="no")


async def test_letters_inside_the_duplicate_window_run_again_each_once(served: World) -> None:
    """Row 18: each message was published and ended moments ago."""
    causes = [await dead_letter(served) for _ in range(LETTERS // 2)]
    for cause in causes:
        await served.bus.publish(cause)
        first = await lane(served, StageName.CLIPPER).take(wait=2)
        assert first is not None
        await first.term("failed")
    answers = await asyncio.gather(asked(served, "replay", stage="clipper"), asked(served, "replay", stage="clipper"))
    assert sum(len(answer["replayed"]) for answer in answers) >= len(causes)
    delivered = []
    for delivery in await lane(served, StageName.CLIPPER).take_now(2 * len(causes)):
        assert delivery.headers["Nats-Msg-Id"].endswith(":2")
        delivered.append(delivery.headers["Clip-Job-Id"])
        await delivery.ack()
    assert sorted(delivered) == sorted(str(cause.job_id) for cause in causes)
