"""The rules of deploy/monitoring, by promtool: they load, each fires when it should and not before, and each says what to do."""

import re
from pathlib import Path

import pytest
import yaml

from libs.common.domain.failures import Code
from services.janitor.settings import JanitorSettings
from tests.documents.test_every_block import anchors
from tests.monitoring.conftest import promtool, rules
from tests.monitoring.expressions import wrong_names
from tools.monitoring.__main__ import MONITORING

ALERTS = {rule["alert"]: rule for rule in rules("alerts.yml")}
TEST_FILES = sorted((MONITORING / "tests").glob("*.yml"))
TESTS = [test for file in TEST_FILES for test in yaml.safe_load(file.read_text())["tests"]]
RUNBOOK = "docs/runbook.md"


def test_the_configuration_and_its_rules_load() -> None:
    assert "is valid prometheus config" in promtool("check", "config", "prometheus.yml")


@pytest.mark.parametrize("file", TEST_FILES, ids=lambda file: file.stem)
def test_every_alert_fires_when_it_should_and_only_then(file: Path) -> None:
    assert "SUCCESS" in promtool("test", "rules", file)


def fired(look: dict[str, object]) -> str:
    return str(look.get("exp_samples", ""))


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_is_tested_when_it_is_quiet_and_when_it_fires(alert: str) -> None:
    looks = [[f'"{alert}"' in fired(look) for look in test["promql_expr_test"]] for test in TESTS]
    assert any(True in look and False in look for look in looks)


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_says_how_bad_it_is_and_what_it_means(alert: str) -> None:
    rule = ALERTS[alert]
    assert rule["labels"] in ({"severity": "page"}, {"severity": "ticket"})
    assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}
    assert all(rule["annotations"].values())


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_names_its_own_section_of_the_runbook(alert: str) -> None:
    assert ALERTS[alert]["annotations"]["runbook_url"] == f"{RUNBOOK}#{alert.lower()}"
    assert alert.lower() in anchors(RUNBOOK)


def test_the_runbook_has_no_section_of_an_alert_that_is_gone() -> None:
    assert {anchor for anchor in anchors(RUNBOOK) if anchor.startswith("clipstream")} == {alert.lower() for alert in ALERTS}


@pytest.mark.parametrize("file", ["recording.yml", "alerts.yml"])
def test_rules_name_only_what_services_expose(file: str, exposed: dict[str, tuple[str, ...]]) -> None:
    assert not {rule.get("alert", rule.get("record")): wrong for rule in rules(file) if (wrong := wrong_names(rule["expr"], exposed))}


def test_rules_name_only_codes_that_there_are() -> None:
    named = {code for rule in [*rules("recording.yml"), *rules("alerts.yml")] for code in re.findall(r"\b[A-Z]+_[A-Z_]+\b", rule["expr"])}
    assert named <= {code.value for code in Code}
    assert len(named) > 5


def test_the_reasons_quote_the_defaults_that_hold() -> None:
    said = " ".join(rule["annotations"]["description"] for rule in ALERTS.values())
    quoted = re.findall(r"\b([A-Z]+(?:_[A-Z]+)+) \((\d+) ?s?\)|\(([A-Z]+(?:_[A-Z]+)+) (\d+)\)", said)
    pairs = {(one or other, int(value or worth)) for one, value, other, worth in quoted}
    assert len(pairs) >= 2
    assert {(name, value) for name, value in pairs if default_of(name) != value} == set()


def default_of(name: str) -> object:
    """All that are quoted are the janitor's or shared."""
    fields = JanitorSettings.__struct_fields__
    defaults = dict(zip(fields[-len(JanitorSettings.__struct_defaults__) :], JanitorSettings.__struct_defaults__, strict=True))
    return defaults[name.lower()]
