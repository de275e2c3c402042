"""How the doctor looks and judges, without servers: tests/tools/test_doctor.py has those."""

import asyncio
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.domain.failures import Code, Failure
from libs.common.runtime.doctor.clocks import FATAL, NOTICEABLE, clock_seen
from libs.common.runtime.doctor.configuration import misspelt, names_of
from libs.common.runtime.doctor.database import connections_seen, migrations_seen, rights_seen, version_seen
from libs.common.runtime.doctor.examination import Check, aside, examine
from libs.common.runtime.doctor.findings import Finding, Seen, ok
from libs.common.runtime.doctor.grants import GRANTS, Right, rights_of
from libs.common.runtime.doctor.machine import MIB, files_seen, memory_seen, scratch_seen
from libs.common.runtime.doctor.messages import BOOTSTRAP, mended_by
from libs.common.runtime.doctor.messages import version_seen as nats_version_seen
from libs.common.runtime.doctor.objects import signed_seen
from libs.common.runtime.doctor.packages import held_to, python_seen
from libs.common.runtime.doctor.report import as_text
from libs.common.runtime.doctor.subjects import LETTERS, WORK
from libs.common.runtime.scratch import Space
from libs.common.runtime.settings import CommonSettings, load
from tests.deploy.test_grants import EXPECTED
from tests.deploy.test_permissions import MAY_SAY
from tools.configuration import SERVICES
from tools.doctor import PATIENTS

SECRET = "hunter2-and-more"
VARIABLES = {"DATABASE_URL": "postgresql://a", "NATS_URL": "nats://a"}


def check(name: str, look, needs: str | None = None, seconds: float = 5.0) -> Check:
    return Check(topic="things", name=name, look=look, needs=needs, seconds=seconds, advice="Do this.")


async def good() -> Seen:
    return ok("good")


async def away() -> Seen:
    raise Failure(Code.RETRYABLE_ERROR, "it is away")


async def broken() -> Seen:
    raise RuntimeError(SECRET)


async def never() -> Seen:
    await asyncio.Event().wait()
    return ok("unreachable")


async def test_all_checks_run_whatever_the_others_find_and_those_that_need_one_are_skipped():
    found = await examine([
        *(check("away", away), check("after it", good, "away"), check("after that", good, "after it")),
        *(check("broken", broken), check("late", never, seconds=0.05), check("good", good)),
    ])  # fmt: skip
    assert [finding.state for finding in found] == ["failed", "skipped", "skipped", "failed", "failed", "ok"]
    assert found[0] == Finding("things", "away", "failed", "it is away", "Do this.")
    assert found[1].seen == "nothing can be told before “away” is right"
    assert found[3].seen == "the check broke: RuntimeError"
    assert found[4].seen == "no answer within 0.05 s"
    assert SECRET not in str(found)


async def test_topics_are_looked_at_at_the_same_time():
    met = asyncio.Barrier(2)

    async def meets() -> Seen:
        await met.wait()
        return ok("met")

    found = await examine([Check(topic=topic, name="meets", look=meets, seconds=5) for topic in ("one", "two")])
    assert [finding.state for finding in found] == ["ok", "ok"]


async def test_a_disk_that_hangs_holds_up_nobody_and_what_it_raises_arrives():
    released = threading.Event()
    [late, wrong] = await examine([
        check("late", lambda: aside(lambda: released.wait(20)), seconds=0.05),
        check("wrong", lambda: aside(lambda: 1 / 0)),
    ])  # fmt: skip
    released.set()
    assert (late.seen, wrong.seen) == ("no answer within 0.05 s", "the check broke: ZeroDivisionError")


@pytest.mark.parametrize(
    ("name", "meant"), [("MAX_CLIP_SECOND", "MAX_CLIP_SECONDS"), ("S3_ENDPOINT", None), ("ENABLE_YTDL", "ENABLE_YTDLP"), ("PATHS", None)]
)
def test_a_variable_with_a_letter_wrong_is_named_with_the_likely_one(name: str, meant: str | None):
    [seen] = misspelt(names_of(*SERVICES.values()), {name: "1", "HOME": "/root", "LOG_LEVEL": "INFO"})
    assert seen.advice == (f"Did you mean {meant}?" if meant else "")
    assert seen.state == ("warning" if meant else "ok")


@pytest.mark.parametrize("service", sorted(SERVICES))
def test_another_services_variable_is_no_misspelling(service: str):
    everything = dict.fromkeys(names_of(*SERVICES.values()), "1")
    assert misspelt(names_of(SERVICES[service]), everything) == [ok("none that looks like one of ours")]


@given(now=st.floats(1e9, 2e9), off=st.floats(-1e6, 1e6), taken=st.floats(0, 10))
def test_a_clock_is_judged_by_how_far_it_is_off_at_least(now: float, off: float, taken: float):
    apart = max(-off, off - taken, 0.0)
    state = clock_seen(now + off, now, now + taken).state
    assert state == ("failed" if apart > FATAL + 1e-3 else "ok" if apart < NOTICEABLE - 1e-3 else state)
    assert not (state == "ok" and apart > NOTICEABLE + 1e-3)
    assert not (state == "failed" and apart < FATAL - 1e-3)


@pytest.mark.parametrize("service", sorted(SERVICES))
def test_the_rights_that_are_looked_for_are_those_of_the_matrix(service: str):
    letters = {"SELECT": "S", "INSERT": "I", "UPDATE": "U", "DELETE": "D"}
    wanted = rights_of([service], GRANTS.read_text())
    found = {(right.table, letters[right.verb].lower() if right.in_part else letters[right.verb]) for right in wanted}
    assert found == {(table, letter) for table, rights in EXPECTED.items() for letter in rights.get(service, "")}


@pytest.mark.parametrize("patient", PATIENTS, ids=lambda patient: patient.name)
def test_the_subjects_that_are_tried_are_those_that_each_user_may_say(patient):
    assert patient.says == MAY_SAY[patient.name] & (WORK | LETTERS)


def test_what_is_missing_or_too_much_is_named_with_what_to_do():
    everything, one = {Right("jobs", "SELECT"), Right("jobs", "UPDATE")}, {Right("jobs", "SELECT")}
    part = {Right("jobs", "SELECT"), Right("jobs", "UPDATE", in_part=True)}
    assert rights_seen(everything, one, in_production=False).text == "this role may not UPDATE jobs"
    assert rights_seen(part, everything, in_production=True).text == "this role may also UPDATE jobs"
    assert rights_seen(part, everything, in_production=False).state == "ok"
    assert rights_seen(part, part, in_production=True).state == "ok"
    assert migrations_seen({"1", "2"}, {"1"}).text == "1 of 2 are not applied, from 2 on"
    assert migrations_seen({"1"}, {"1", "3"}).state == "warning"
    assert version_seen(130_012, "13.12").advice == "Use PostgreSQL 14 or later."
    assert nats_version_seen((2, 11), "2.11.4").advice == "Use nats-server 2.12 or later."
    assert connections_seen(95, 100).state == "warning"


def test_the_machine_is_held_to_what_the_service_needs():
    settings = load(CommonSettings, VARIABLES | {"SCRATCH_MIN_FREE_MB": "100", "SCRATCH_MAX_MB": "50", "MAX_INPUT_MB": "10"})
    assert scratch_seen(Space(0, 99 * MIB), settings).state == "failed"
    assert scratch_seen(Space(51 * MIB, 999 * MIB), settings).state == "failed"
    assert scratch_seen(Space(0, 999 * MIB), settings).state == "ok"
    many = load(CommonSettings, VARIABLES | {"MAX_INPUT_MB": "1000"})
    assert scratch_seen(Space(0, 999 * MIB), many).state == "warning"
    assert [memory_seen(limit, 512).state for limit in (None, 512 * MIB, 511 * MIB)] == ["ok", "ok", "warning"]
    assert [files_seen(soft, 1024).state for soft in (-1, 1024, 256)] == ["ok", "ok", "warning"]
    assert [python_seen(version).state for version in ((3, 10), (3, 11))] == ["failed", "ok"]


def test_packages_are_held_to_the_lock_file():
    lock = "a-b==1.0 \\\n    --hash=sha256:0\nc==2.0 ; sys_platform == 'win32' \\\nc==3.0 ; sys_platform != 'win32' \\\n"
    assert held_to(lock, {"a-b": "1.0", "c": "3.0"}, "x.txt").text == "2 at the versions of requirements/x.txt"
    assert held_to(lock, {"a-b": "1.0"}, "x.txt").state == "ok"
    assert held_to(lock, {"a-b": "1.1", "c": "2.0"}, "x.txt").text == "not the locked version: a-b"
    assert held_to(lock, {"c": "2.0"}, "x.txt").text == "not installed: a-b"


def test_a_signed_address_is_judged_by_its_answer_and_its_place():
    assert signed_seen(None, "http://s3.internal", is_production=False).state == "failed"
    assert signed_seen(403, "http://s3.internal", is_production=False).text == "http://s3.internal answers 403"
    assert signed_seen(200, "http://127.0.0.1:9000", is_production=True).state == "warning"
    assert signed_seen(200, "https://s3.example.com", is_production=True).state == "ok"


def test_the_report_fits_into_its_columns_and_quiet_leaves_out_what_is_well():
    found = [Finding("things", "good", "ok", "well"), Finding("things", "a name", "failed", "no " * 60, "Do " + "this " * 40)]
    text = as_text(found, width=80)
    assert max(map(len, text.splitlines())) <= 80
    assert "well\n" in text
    assert "well\n" not in as_text(found, width=80, quiet=True)
    assert text.endswith("something is wrong: ok 1, warnings 0, failed 1, skipped 0")


def test_the_lock_files_and_the_grants_are_where_they_are_looked_for():
    assert Path(__file__).parents[2] / "deploy/postgres/grants.sql" == GRANTS
    assert GRANTS.is_file()


def test_what_the_bootstrap_can_not_mend_is_not_left_to_it():
    rules = ("stream CLIPS: num_replicas is 1, it must be 3", "stream CLIPS: retention is limits, it must be workqueue")
    others = ("server http://n1:8222: sync_interval must be always", "NATS_MONITOR_URLS names 0 servers, it must name all: only there")
    advice = [mended_by(rule) for rule in (*rules, *others)]
    assert advice[0] == BOOTSTRAP
    assert [word in found for word, found in zip(("anew", "sync_interval: always", "8222"), advice[1:], strict=True)] == [True] * 3
