"""What the recorder makes of two looks at metrics pages."""

import pytest
from prometheus_client import generate_latest

from bench.scaling import manifests, measured
from bench.scaling.recorder import quantiles, recording
from libs.common.runtime import metrics


def page(done: int, *, failed: int = 7, jobs: int = 0, calls: int = 0) -> str:
    """Of one service: attempts of half a second to one, as many as are done."""
    stage = 'clip_stage_seconds_bucket{stage="burner",verdict="%s",le="%s"} %d\n'
    lines = [stage % ("Advance", edge, done if edge in {"1.0", "+Inf"} else 0) for edge in ("0.5", "1.0", "+Inf")]
    lines += [stage % ("GiveUp", edge, failed) for edge in ("0.5", "1.0", "+Inf")]
    told = "# TYPE clip_stage_seconds histogram\n" + "".join(lines)
    told += f'# TYPE clip_dependency_seconds histogram\nclip_dependency_seconds_count{{dependency="s3",operation="get"}} {calls}\n'
    return told + f'# TYPE clip_jobs_finished_total counter\nclip_jobs_finished_total{{outcome="done"}} {jobs}\n'


def test_only_what_grew_between_the_looks_counts_and_replicas_are_added_up():
    found = recording([page(3), page(0)], [page(8, failed=9, jobs=4, calls=6), page(5, jobs=1, calls=4)])
    assert found["stages"] == {"burner": {"count": 10, "quantiles": pytest.approx([0.5 + n / 20 for n in range(11)])}}
    assert found["calls a job"] == {"s3 get": 2.0}


def test_nothing_done_is_nothing_told():
    assert recording([page(3)], [page(3)]) == {"stages": {}, "calls a job": {}}


def test_a_service_that_began_anew_counts_from_its_start():
    assert recording([page(30)], [page(4)])["stages"]["burner"]["count"] == 4


def test_quantiles_grow_and_stay_within_the_buckets():
    found = quantiles({0.5: 10.0, 1.0: 80.0, 2.5: 10.0})
    assert found == sorted(found)
    assert (found[0], found[-1]) == (0.25, 2.5)
    assert 0.5 <= found[5] <= 1.0


def test_a_recording_takes_the_place_of_what_was_measured():
    found = measured.from_recording({"stages": {"burner": {"quantiles": [1.0, 2.0]}}}, manifests.workers())
    assert found["burn"] == [2.0, 4.0]
    assert {work: told for work, told in found.items() if work != "burn"} == {
        work: told for work, told in measured.stages().items() if work != "burn"
    }


def test_it_reads_what_our_services_write():
    before = generate_latest().decode()
    for _ in range(4):
        metrics.STAGE_SECONDS.labels("asr", "Advance").observe(0.7)
        metrics.JOBS_FINISHED.labels("done").inc()
    with metrics.measured("postgres", "history"):
        pass
    found = recording([before], [generate_latest().decode()])
    assert found["stages"]["asr"]["count"] == 4
    assert (found["stages"]["asr"]["quantiles"][0], found["stages"]["asr"]["quantiles"][-1]) == (0.5, 1.0)
    assert found["calls a job"] == {"postgres history": 0.25}
