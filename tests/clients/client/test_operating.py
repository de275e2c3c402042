"""The operator's calls: keys and numbers on a real API, dead letters over as many requests as they take."""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from clipstream import BadRequest, Forbidden, NotFound, Unauthorized
from services.api.caller import Scope
from tests.api.conftest import Running, api, environ  # noqa: F401  fixtures, here for our tests too
from tests.api.keyed import client, keyed
from tests.clients.client.servers import JOB, Connect, Handle, refuses, says, serving


async def test_a_key_is_made_shown_once_rotated_and_revoked(api: Running, connect: Connect) -> None:  # noqa: F811  the fixture
    async with keyed(api) as (http, to):
        ops = connect(str(http.base_url), key=(await client(to.pool, Scope.ADMIN)).written)
        made = await ops.keys.create("ci", ["jobs:read"], tenant=f"t{uuid4().hex}", rate_limit=5)
        rotated = await ops.keys.rotate(made.key.id, grace_hours=1)
        assert (made.key.name, made.key.scopes, made.key.rate_limit, rotated.key.tenant) == ("ci", ("jobs:read",), 5, made.key.tenant)
        assert made.api_key.startswith("ck_")
        assert made.api_key not in repr(made)
        user = connect(str(http.base_url), key=rotated.api_key)
        assert await user.jobs() == []
        with pytest.raises(Forbidden, match="FORBIDDEN"):
            await user.keys.list()
        assert (await ops.keys.revoke(rotated.key.id)).revoked_at
        assert {key.id for key in await ops.keys.list()} >= {made.key.id, rotated.key.id}
        with pytest.raises(BadRequest) as caught:
            await ops.keys.create("", ["jobs:read"])
        assert caught.value.field == "name"
        with pytest.raises(Unauthorized):
            await connect(str(http.base_url)).job(JOB)
        assert (await ops.overview()).measured_at <= datetime.now(UTC)


def letter(seq: int) -> dict[str, Any]:
    told = {"jobId": JOB, "job": "failed", "stage": "asr", "code": "X", "message": "m", "attempts": 3, "subject": "s", "replayable": True}
    return {"seq": seq, "at": "2026-11-21T12:00:00Z", **told}


def page(seq: int, **more: Any) -> Handle:
    return says({"correlationId": "c", "letters": [letter(seq)], **more})


async def test_letters_are_listed_page_by_page(connect: Connect) -> None:
    async with serving(api_admin_dlq=[page(1, nextCursor=1), page(2)]) as server:
        found = await connect(server.url).dead_letters.list(stage="asr")
    assert [one.seq for one in found] == [1, 2]
    assert [request.query.get("cursor") for request in server.asked] == [None, "1"]
    assert {request.query["stage"] for request in server.asked} == {"asr"}


async def test_all_that_are_meant_are_replayed_over_as_many_requests_as_that_takes(connect: Connect) -> None:
    def replays(seq: int, **more: Any) -> Handle:
        done = [{"seq": seq, "jobId": JOB, "stage": "asr", "run": 2}]
        return says({"correlationId": "c", "replayed": done, "refused": [{"seq": seq + 1, "reason": "no"}], **more})

    async with serving(api_admin_dlq_replay=[replays(1, next={"stage": "asr", "after": 2}), replays(3)]) as server:
        done = await connect(server.url).dead_letters.replay(stage="asr")
    assert ([one.seq for one in done.replayed], [one.seq for one in done.refused]) == ([1, 3], [2, 4])
    assert server.bodies == [b'{"stage":"asr"}', b'{"stage":"asr","after":2}']


async def test_one_letter_is_shown_replayed_and_discarded_by_its_number(connect: Connect) -> None:
    shown = says({"letter": letter(7), "headers": {"a": "b"}, "body": {"type": "x"}, "bodySize": 9})
    discarded = says({"discarded": {"seq": 7, "jobId": JOB, "inHistory": True}})
    async with serving(api_admin_dlq_7=[shown, discarded], api_admin_dlq_7_replay=refuses(404, "NOT_FOUND")) as server:
        letters = connect(server.url).dead_letters
        assert (await letters.show(7)).letter.stage == "asr"
        assert (await letters.discard(7)).in_history
        with pytest.raises(NotFound):
            await letters.replay(7)
    assert server.lines == ["GET /api/admin/dlq/7", "DELETE /api/admin/dlq/7", "POST /api/admin/dlq/7/replay"]


@pytest.mark.parametrize("wish", [{}, {"seq": 1, "all": True}, {"stage": "asr", "job_id": JOB}], ids=["none", "both", "two"])
async def test_a_slip_of_the_pen_never_means_all(connect: Connect, wish: dict[str, Any]) -> None:
    async with serving() as server:
        with pytest.raises(TypeError, match="just one of"):
            await connect(server.url).dead_letters.replay(**wish)
    assert server.asked == []
