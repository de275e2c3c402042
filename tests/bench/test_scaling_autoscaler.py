"""The autoscaler's arithmetic, step by step, against Kubernetes' own description of it."""

from dataclasses import replace
from itertools import pairwise

import pytest

from bench.scaling import manifests
from bench.scaling.autoscaler import Autoscaler, Policy, Rules

RULES = Rules(
    minimum=2,
    maximum=20,
    target=4,
    up=(Policy("Percent", 100, 15), Policy("Pods", 4, 15)),
    down=(Policy("Percent", 25, 60),),
    up_window=0,
    down_window=300,
)


def decided(rules: Rules, lags: list[int]) -> list[int]:
    """Replicas after each of so many looks, 15 s apart, from the minimum on."""
    scaler, found = Autoscaler(rules), [rules.minimum]
    for number, lag in enumerate(lags):
        found.append(scaler.decide(15.0 * number, found[-1], lag))
    return found[1:]


def test_it_grows_by_the_policy_that_allows_most():
    assert decided(RULES, [1000] * 4) == [6, 12, 20, 20]


def test_it_asks_for_a_replica_for_each_four_jobs():
    assert decided(RULES, [12, 24]) == [3, 6]


@pytest.mark.parametrize(("lag", "replicas"), [(39, 10), (43, 10), (45, 12), (36, 10)])
def test_a_tenth_more_or_less_changes_nothing(lag: int, replicas: int):
    assert Autoscaler(replace(RULES, down_window=0)).decide(0, 10, lag) == replicas


def test_it_shrinks_after_five_quiet_minutes_by_a_quarter_a_minute():
    found = decided(RULES, [80] * 4 + [0] * 60)
    assert found[:4] == [6, 12, 20, 20]
    shrunk = [count for before, count in pairwise(found) if count < before]
    assert shrunk == [15, 11, 8, 6, 4, 3, 2]
    first = found.index(15)
    assert (first - 3) * 15 > 300
    assert found.index(11) - first >= 4


def test_a_peak_within_the_window_keeps_what_is_there():
    assert decided(RULES, [80] * 3 + [0] * 10 + [80] + [0] * 10)[-1] == 20


def test_the_rules_are_those_of_the_overlay():
    found = manifests.rules()
    assert found.keys() == {"resolver", "clipper", "asr"}
    assert all(rules.down_window >= 300 and rules.up and rules.down for rules in found.values())


def test_a_manifest_that_leaves_out_a_window_is_refused(tmp_path, monkeypatch):
    told = manifests.PRODUCTION.joinpath("scaling.yaml").read_text().replace("stabilizationWindowSeconds: 300, ", "")
    (tmp_path / "scaling.yaml").write_text(told)
    monkeypatch.setattr(manifests, "PRODUCTION", tmp_path)
    with pytest.raises(KeyError, match="stabilizationWindowSeconds"):
        manifests.rules()
