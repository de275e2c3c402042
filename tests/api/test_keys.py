"""Keys: how they are made, what they open, how long; and that none of them shows itself."""

import asyncio
import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from libs.common.domain.failures import Code, Failure
from libs.common.runtime.embedded import LocalServers
from libs.common.runtime.redaction import redacted
from libs.common.runtime.settings import Secret, SettingsError, load
from services.api.authority import FRESH_SECONDS, STALE_SECONDS, Authority
from services.api.bounded import Bounded
from services.api.caller import Caller, Scope
from services.api.key_store import KeyStore
from services.api.keys import Credentials, Key, Pepper, credentials_in, new_credentials
from services.api.settings import ApiSettings
from tests.api.conftest import Running
from tests.api.keyed import PEPPER, Client, client, keyed

NOBODY = UUID("6e2b8a52-6c1c-4b0e-9c0b-6a3f6f0d9a11")


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


def caller(key: Key) -> Caller:
    return Caller(tenant=key.tenant, scopes=key.scopes, key_id=key.id)


def replica(api: Running, clock: Clock, **more: object) -> Authority:
    return Authority(KeyStore(api.to.pool, PEPPER), PEPPER, caller, clock=clock, **more)


def of(made: Client) -> Credentials:
    found = credentials_in(made.written)
    assert found
    return found


def test_a_key_is_written_as_the_contract_says() -> None:
    fresh = new_credentials()
    assert re.fullmatch(r"ck_[0-9a-f-]{36}_[A-Za-z0-9_-]{32}", fresh.written.reveal())
    assert credentials_in(fresh.written.reveal()) == fresh
    assert UUID(fresh.id).version == 4
    assert len({new_credentials().written.reveal() for _ in range(100)}) == 100


@pytest.mark.parametrize("text", ["", "ck_", "ck__", f"ck_{NOBODY}_", f"ck_{NOBODY}_{'a' * 31}", f"ck_{NOBODY}_{'a' * 33}"])
@pytest.mark.parametrize("end", ["", "\n", " ", "\0", "é"])
def test_what_is_no_key_is_none(text: str, end: str) -> None:
    assert credentials_in(text + end) is None


def test_a_hash_is_of_this_key_with_this_pepper() -> None:
    fresh, other = new_credentials(), new_credentials()
    hashes = {
        PEPPER.hash(fresh),
        Pepper(Secret("another pepper of 32 characters.")).hash(fresh),
        PEPPER.hash(replace(fresh, id=other.id)),
        PEPPER.hash(replace(fresh, secret=other.secret)),
    }
    assert len(hashes) == 4
    assert {len(found) for found in hashes} == {32}


async def test_no_key_shows_itself(api: Running) -> None:
    made = await client(api.to.pool)
    secret = of(made).secret.reveal()
    kept = await api.to.pool.fetch("SELECT * FROM api_keys WHERE id = $1", made.key.id)
    shown = [repr(of(made)), str(of(made)), repr(made.key), repr(kept), redacted(f"wrong key {made.written}")]
    assert [text for text in shown if secret in text] == []
    assert repr(made.key.hash) not in repr(made.key)


async def test_a_key_of_its_own_tenant_and_one_of_a_shared_one(api: Running) -> None:
    alone, shared = await client(api.to.pool), await client(api.to.pool, tenant="acme")
    assert (alone.key.tenant, shared.key.tenant) == (str(alone.key.id), "acme")


async def test_a_revoked_key_is_refused_within_ten_seconds_on_every_replica(api: Running) -> None:
    made, clock = await client(api.to.pool), Clock()
    replicas = [replica(api, clock) for _ in range(2)]
    assert all([await each.caller(of(made)) for each in replicas])
    await KeyStore(api.to.pool, PEPPER).revoke(made.key.id)
    clock.seconds += FRESH_SECONDS - 0.1
    assert all([await each.caller(of(made)) for each in replicas])  # not asked again yet: that is what makes it cheap
    clock.seconds += 0.2
    assert [await each.caller(of(made)) for each in replicas] == [None, None]


async def test_a_revoked_key_is_refused_by_two_servers_within_ten_seconds(api: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    assert FRESH_SECONDS < 10
    monkeypatch.setattr("services.api.authority.FRESH_SECONDS", 0.5)
    async with keyed(api) as (one, to), keyed(api) as (other, _):
        made = await client(to.pool)
        assert [(await http.get("/api/jobs/x", headers=made.headers)).status_code for http in (one, other)] == [404, 404]
        operator = await client(to.pool, Scope.ADMIN)
        assert (await one.delete(f"/api/admin/keys/{made.key.id}", headers=operator.headers)).status_code == 200
        async with asyncio.timeout(40):
            while [(await http.get("/api/jobs/x", headers=made.headers)).status_code for http in (one, other)] != [401, 401]:
                await asyncio.sleep(0.1)


async def test_a_key_made_after_it_was_unknown_is_soon_taken(api: Running) -> None:
    clock, fresh = Clock(), new_credentials()
    here = replica(api, clock)
    assert await here.caller(fresh) is None
    values = (UUID(fresh.id), "late", "late", ["admin"], PEPPER.hash(fresh))
    await api.to.pool.execute("INSERT INTO api_keys (id, name, tenant, scopes, hash) VALUES ($1, $2, $3, $4, $5)", *values)
    assert await here.caller(fresh) is None
    clock.seconds += FRESH_SECONDS + 0.1
    assert await here.caller(fresh)


async def test_a_key_expires_to_the_second(api: Running) -> None:
    end = datetime.now(UTC) + timedelta(hours=1)
    made, now = await client(api.to.pool, expires_at=end), [end - timedelta(seconds=1)]
    here = replica(api, Clock(), now=lambda: now[0])
    assert await here.caller(of(made))
    now[0] = end
    assert await here.caller(of(made)) is None


async def test_while_the_database_is_away_only_keys_that_are_known_go_on_and_only_for_ten_seconds(
    api: Running, local: LocalServers
) -> None:
    made, late, clock = await client(api.to.pool), await client(api.to.pool), Clock()
    here = replica(api, clock)
    assert await here.caller(of(made))
    await local.postgres.kill()
    try:
        clock.seconds += STALE_SECONDS - 0.1
        assert await here.caller(of(made))
        assert await here.caller(replace(of(made), secret=of(late).secret)) is None
        await refused(here, late)
        clock.seconds += 0.2
        await refused(here, made)
    finally:
        await local.postgres.start()
    assert await here.caller(of(made))
    assert await here.caller(of(late))


async def refused(authority: Authority, made: Client) -> None:
    with pytest.raises(Failure) as refusal:
        await authority.caller(of(made))
    assert (refusal.value.code, refusal.value.outage) == (Code.RETRYABLE_ERROR, "postgres")


async def test_many_at_once_cost_one_lookup_also_when_the_first_one_leaves(api: Running) -> None:
    made, clock = await client(api.to.pool), Clock()
    store, asked = KeyStore(api.to.pool, PEPPER), []

    class Counted(KeyStore):
        def __init__(self) -> None:
            pass

        async def find(self, key_id: str) -> Key | None:
            asked.append(key_id)
            return await store.find(key_id)

    here = Authority(Counted(), PEPPER, caller, clock=clock)
    first, *others = [asyncio.create_task(here.caller(of(made))) for _ in range(50)]
    await asyncio.sleep(0)
    first.cancel()
    assert all(await asyncio.gather(*others))
    assert asked == [str(made.key.id)]


async def test_the_last_use_is_written_down_now_and_then(api: Running) -> None:
    made = await client(api.to.pool)
    here = replica(api, Clock())
    before = datetime.now(UTC)
    await here.caller(of(made))
    await here.note_uses()
    store = KeyStore(api.to.pool, PEPPER)
    noted = await store.find(str(made.key.id))
    assert noted
    assert noted.last_used_at
    assert before <= noted.last_used_at <= datetime.now(UTC)
    await store.note_uses({made.key.id: before - timedelta(days=1)})  # a replica that is late
    assert (await store.find(str(made.key.id))) == noted


def test_what_is_bounded_forgets_the_oldest() -> None:
    kept: Bounded[int, str] = Bounded(2)
    kept[1], kept[2] = "a", "b"
    kept[1] = "c"
    kept[3] = "d"
    assert kept == {1: "c", 3: "d"}


@pytest.mark.parametrize("needing", ["ENABLE_API_KEYS", "ADMIN_ENABLED"])
@pytest.mark.parametrize("secret", [None, "", "s" * 31])
def test_keys_without_a_good_pepper_are_a_problem_of_the_configuration(servers: dict[str, str], needing: str, secret: str | None) -> None:
    with pytest.raises(SettingsError, match=f"{needing} needs API_SECRET, a secret of at least 32 characters"):
        load(ApiSettings, {**servers, needing: "true", **({"API_SECRET": secret} if secret is not None else {})})
    good = load(ApiSettings, {**servers, needing: "true", "API_SECRET": "hunter2" * 5})
    assert "hunter2" not in repr(good)


@pytest.mark.parametrize("line", [{"key": "ck_{}_{}"}, {"error": "no such key ck_{}_{} here"}])
def test_a_key_that_gets_into_a_log_line_is_blotted_out(line: dict[str, str]) -> None:
    fresh = new_credentials()
    text = json.dumps(line).replace("ck_{}_{}", fresh.written.reveal())
    assert fresh.secret.reveal() not in redacted(text)
