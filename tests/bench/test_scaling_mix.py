"""What `python -m bench.scaling.mix` asks for and writes down; what it measures needs a whole stack and is no test."""

import json
from statistics import mean

import pytest

from bench.scaling import manifests, measured
from bench.scaling.burst import crews, simulated
from bench.scaling.live import Order
from bench.scaling.mix import MIXED, merged, works
from bench.scaling.scenarios import MIX

TELLING = {"upload": [0.1], "copy": [0.1], "exact": [2.0]}


@pytest.mark.parametrize(
    ("part", "has"),
    [
        (MIX.by_url, lambda order: order.by_url),
        (MIX.copied, lambda order: order.copied),
        (MIX.subtitled, lambda order: order.subtitled),
        (MIX.burned, lambda order: order.burned),
    ],
)
def test_the_jobs_that_are_run_are_those_of_the_model(part: float, has):
    assert mean(has(order) for order in MIXED) == pytest.approx(part)


def test_a_burn_is_what_its_job_took_beyond_an_exact_cut():
    plain, burned = Order(), Order(subtitled=True, burned=True)
    spent = [(order, {"resolver": 0.1, "clipper": cpu, "asr": 0.2}) for order, cpu in ((plain, 2.0), (plain, 4.0), (burned, 13.0))]
    found = works(spent)
    assert (found["exact"], found["burn"], found["transcribe"]) == ([2.0, 4.0], [10.0], [0.2])


def test_what_was_measured_takes_the_place_of_what_was_there_and_the_rest_stays():
    told = {"costs": {"rows": {"value": 1}, "read_mb": {"value": 2}}, "stages": {"copy": {"quantiles": [1, 2]}}}
    made = merged(told, {"costs": {"rows": {"value": 9}}, "stages": {}, "burst": {"jobs": 60}})
    assert made == {**told, "costs": {"rows": {"value": 9}, "read_mb": {"value": 2}}, "burst": {"jobs": 60}}


def test_the_file_is_written_as_it_is_kept():
    assert measured.dumped(measured.told()) == measured.FILE.read_text()
    assert json.loads(measured.dumped(measured.told())) == measured.told()


def test_of_jobs_that_come_at_once_encodes_end_one_after_the_other_and_copies_before_them():
    waits = simulated([Order(), Order(), Order(copied=True), Order()], TELLING, cores=2.0)
    assert sorted(waits) == pytest.approx([0.3, 1.2, 2.2, 3.2], abs=0.15)
    assert crews(2.0)["asr"][0] == manifests.workers()["asr"]


def test_no_service_had_more_than_two_thirds_of_its_memory():
    most = measured.told()["memory_mb"]
    assert most.keys() == manifests.memory_mb().keys()
    for name, limit in manifests.memory_mb().items():
        assert limit >= 1.5 * most[name], name
