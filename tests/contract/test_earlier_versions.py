"""Histories that earlier versions wrote, recorded from their own services, read by the code of today: an upgrade meets them all."""

import json
from pathlib import Path
from typing import Any

import pytest

from libs.common.domain.events import AnyEvent, decode, encode, type_of
from tests.chaos.folded import told
from tests.chaos.versions import read_by
from tools.setup import ROOT

FILES = sorted(Path(__file__).with_name("samples").glob("*.json"))
SAMPLES = {file.stem: json.loads(file.read_text()) for file in FILES}
JOBS = {f"{version}: {kind}": job for version, sample in SAMPLES.items() for kind, job in sample["jobs"].items()}


LATER: dict[str, set[str]] = {}
"""Events that a version did not have yet."""


def is_within(theirs: Any, ours: Any) -> bool:
    """Whether all that they wrote is there as it was; there may be more."""
    if isinstance(theirs, dict) and isinstance(ours, dict):
        return all(key in ours and is_within(value, ours[key]) for key, value in theirs.items())
    if isinstance(theirs, list) and isinstance(ours, list):
        return len(theirs) == len(ours) and all(map(is_within, theirs, ours))
    return bool(theirs == ours)


def envelopes(job: Any) -> list[str]:
    return [json.dumps(one) for one in job["history"]]


@pytest.mark.parametrize("version", SAMPLES)
def test_a_sample_has_every_event_of_its_version(version: str) -> None:
    seen = {envelope["event"]["type"] for job in SAMPLES[version]["jobs"].values() for envelope in job["history"]}
    assert seen == {type_of(event) for event in AnyEvent.__args__} - LATER.get(version, set())


@pytest.mark.parametrize("name", JOBS)
def test_a_job_of_an_earlier_version_is_the_same_job_to_us(name: str) -> None:
    assert told(envelopes(JOBS[name])) == JOBS[name]["told"]


@pytest.mark.parametrize("name", JOBS)
def test_what_we_pass_on_still_has_all_that_an_earlier_version_reads(name: str) -> None:
    for envelope in JOBS[name]["history"]:
        ours = json.loads(encode(decode(json.dumps(envelope))))
        assert is_within(envelope, ours)


async def test_the_two_versions_of_a_chaos_run_are_asked_in_processes_of_their_own() -> None:
    jobs = list(JOBS.values())[:3]
    assert await read_by(ROOT, [envelopes(job) for job in jobs]) == [job["told"] for job in jobs]
