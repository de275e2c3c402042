"""Dead letters that the operator deletes: each leaves its event, and many go only when that is confirmed."""

import asyncio
from uuid import uuid4

from libs.common.domain.events import JobExpired, LetterDiscarded, StageName
from services.janitor.discard import Discards
from services.janitor.letters import Letters
from tests.builders import envelope, ready, requested
from tests.janitor.conftest import World
from tests.janitor.desk import asked, refused
from tests.janitor.steps import bury, dead_letter, job_of, job_with, letters


async def test_a_discarded_letter_is_gone_and_its_job_tells_who_did_it(served: World) -> None:
    cause = await dead_letter(served)
    before = await job_of(served, cause.job_id)
    answer = await asked(served, "discard", seq=1, by="ada")
    assert answer == {"discarded": [{"seq": 1, "jobId": str(cause.job_id), "inHistory": True}], "refused": []}
    assert await letters(served) == []
    told = (await served.store.history(cause.job_id))[-1].event
    assert told == LetterDiscarded(stage=StageName.CLIPPER, by="ada", source="DLQ:1")
    assert await job_of(served, cause.job_id) == before


async def test_a_letter_that_is_not_there_is_refused(served: World) -> None:
    assert (await asked(served, "discard", seq=1))["refused"] == [{"seq": 1, "reason": "there is no such dead letter", "isMissing": True}]


async def test_the_letters_of_a_job_go_together(served: World) -> None:
    cause, other = await dead_letter(served), await dead_letter(served)
    await bury(served, cause, StageName.CLIPPER)
    answer = await asked(served, "discard", jobId=str(cause.job_id))
    assert [found["seq"] for found in answer["discarded"]] == [1, 3]
    assert await letters(served) == [2]
    assert (await job_of(served, other.job_id)).status == "failed"


async def test_many_are_only_counted_until_the_operator_confirms_just_those(served: World) -> None:
    for stage in (StageName.CLIPPER, StageName.RESOLVER, StageName.CLIPPER):
        await dead_letter(served, stage=stage)
    counted = await asked(served, "discard", stage="clipper", by="ada")
    assert counted == {
        "discarded": [],
        "refused": [],
        "unconfirmed": 2,
        "next": {"stage": "clipper", "by": "ada", "confirm": True, "upTo": 3},
    }
    assert await letters(served) == [1, 2, 3]
    await dead_letter(served)
    assert [found["seq"] for found in (await asked(served, "discard", **counted["next"]))["discarded"]] == [1, 3]
    assert await letters(served) == [2, 4]
    assert len((await asked(served, "discard", all=True, confirm=True))["discarded"]) == 2
    assert await asked(served, "discard", all=True) == {"discarded": [], "refused": []}


async def test_a_letter_without_a_job_to_tell_is_deleted_all_the_same(served: World) -> None:
    [expired, _] = await job_with(served, requested(), JobExpired())
    unknown = envelope(ready(), uuid4())
    await bury(served, expired, StageName.RESOLVER)
    await bury(served, unknown, StageName.CLIPPER)
    await served.bus.js.publish("dlq.source.ready", b"{broken", headers={"Clip-Stage": "clipper"})
    answer = await asked(served, "discard", all=True, confirm=True)
    assert [found["inHistory"] for found in answer["discarded"]] == [False, False, False]
    assert await letters(served) == []
    assert await served.store.history(unknown.job_id) == []


async def test_what_can_not_be_read_is_discarded_with_its_stage(served: World) -> None:
    await served.bus.js.publish("dlq.source.ready", b"{broken", headers={"Clip-Stage": "clipper"})
    await served.bus.js.publish("dlq.source.ready", b"{broken")
    assert [found["seq"] for found in (await asked(served, "discard", stage="clipper", confirm=True))["discarded"]] == [1]


async def test_many_at_once_leave_one_event(world: World) -> None:
    cause = await dead_letter(world)
    discards = Discards(Letters(world.store, world.bus))
    found = await discards.letters.get(1)
    assert found is not None
    await asyncio.gather(*(discards.discard(found[0], f"operator {n}") for n in range(10)))
    events = [each.event for each in await world.store.history(cause.job_id)]
    assert sum(isinstance(event, LetterDiscarded) for event in events) == 1
    assert await letters(world) == []


async def test_a_replay_and_a_discard_at_once_leave_a_job_that_says_what_happened(served: World) -> None:
    cause = await dead_letter(served)
    await asyncio.gather(asked(served, "replay", seq=1), asked(served, "discard", seq=1))
    job = await job_of(served, cause.job_id)
    assert job.status == ("processing" if job.replays else "failed")
    assert await letters(served) == []


async def test_a_slip_of_the_pen_deletes_nothing(served: World) -> None:
    await dead_letter(served)
    for body in (
        b"",
        b"{}",
        b'{"all":"yes","confirm":true}',
        b'{"seq":1,"all":true}',
        b'{"sequence":1}',
        b'{"stage":"clip","confirm":true}',
    ):
        code, text = await refused(served, "discard", body)
        assert code == "400"
        assert '"confirm":true' in text
    assert await letters(served) == [1]
