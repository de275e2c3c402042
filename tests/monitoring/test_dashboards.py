"""The dashboards: Grafana can read them, Prometheus can answer them, and what they ask for is exposed."""

import itertools
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.monitoring.conftest import promtool, rules
from tests.monitoring.expressions import filled, grouped, panels, series, wrong_names
from tools.monitoring.__main__ import FOLDER, boards, written

BOARDS: dict[str, dict[str, Any]] = {file.name: json.loads(file.read_text()) for file in sorted(FOLDER.glob("*.json"))}
PANELS = {f"{name} {panel['title']} {panel['type']}": panel for name, board in BOARDS.items() for panel in panels(board)}
UNITS = {"short", "s", "bytes", "Bps", "percentunit", "cpm", "reqps"}
LIKE_THE_ALERT = {
    "Oldest message": "ClipstreamBacklogOld",
    "Dead letters": "ClipstreamDeadLettersWait",
    "Events behind": "ClipstreamFeedLag",
    "Event loop late, p99": "ClipstreamEventLoopBlocked",
    "Used of the limit": "ClipstreamResourceNearLimit",
    "Since the last clean-up": "ClipstreamCleanupNotDone",
}


def test_the_files_are_what_the_code_writes() -> None:
    assert {name: written(board) for name, board in boards().items()} == {file.name: file.read_text() for file in FOLDER.glob("*.json")}


@pytest.mark.parametrize("panel", PANELS)
def test_a_panel_explains_itself(panel: str) -> None:
    found = PANELS[panel]
    defaults = found["fieldConfig"]["defaults"]
    assert found["description"].endswith(".")
    assert defaults["unit"] in UNITS
    assert defaults["noValue"]
    assert {found["datasource"]["uid"], *(target["datasource"]["uid"] for target in found["targets"])} == {"${datasource}"}


@pytest.mark.parametrize("board", BOARDS)
def test_panels_lie_beside_each_other(board: str) -> None:
    taken = [cell for panel in BOARDS[board]["panels"] for cell in cells(panel["gridPos"])]
    assert len(taken) == len(set(taken))
    assert max(x for x, _ in taken) < 24
    assert len({panel["id"] for panel in BOARDS[board]["panels"]}) == len(BOARDS[board]["panels"])


def cells(at: dict[str, int]) -> list[tuple[int, int]]:
    return list(itertools.product(range(at["x"], at["x"] + at["w"]), range(at["y"], at["y"] + at["h"])))


def test_prometheus_can_parse_every_query(tmp_path: Path) -> None:
    asked = [target["expr"] for panel in PANELS.values() for target in panel["targets"]]
    rules = [{"record": f"asked:{number}", "expr": filled(expression)} for number, expression in enumerate(asked)]
    (tmp_path / "asked.yml").write_text(yaml.safe_dump({"groups": [{"name": "asked", "rules": rules}]}))
    assert f"{len(asked)} rules found" in promtool("check", "rules", tmp_path / "asked.yml")
    assert "$" not in "".join(map(filled, asked))


def test_every_query_names_what_services_expose(exposed: dict[str, tuple[str, ...]]) -> None:
    assert not {
        name: wrong for name, panel in PANELS.items() for target in panel["targets"] if (wrong := wrong_names(target["expr"], exposed))
    }


@pytest.mark.parametrize("panel", PANELS)
def test_a_legend_names_labels_that_its_query_keeps(panel: str) -> None:
    for target in PANELS[panel]["targets"]:
        assert set(re.findall(r"{{(\w+)}}", target["legendFormat"])) <= grouped(target["expr"]) - {"le"}


@pytest.mark.parametrize("title", LIKE_THE_ALERT)
def test_a_panel_turns_red_where_the_alert_fires(title: str) -> None:
    [panel] = [panel for panel in PANELS.values() if panel["title"] == title]
    [alert] = [rule for rule in rules("alerts.yml") if rule.get("alert") == LIKE_THE_ALERT[title]]
    red = panel["fieldConfig"]["defaults"]["thresholds"]["steps"][-1]
    assert red["color"] == "red"
    assert re.search(rf"> {red['value']}\b", alert["expr"])


def test_a_query_of_a_series_that_nobody_exposes_is_found(exposed: dict[str, tuple[str, ...]]) -> None:
    assert wrong_names('sum by (stage, colour) (rate(clip_retries_total{shape="x"}[5m])) / clip_nothing', exposed) == [
        "clip_nothing",
        "clip_retries_total{shape}",
        "colour",
    ]


def test_every_metric_of_ours_is_shown_somewhere(exposed: dict[str, tuple[str, ...]]) -> None:
    asked = {name for panel in PANELS.values() for target in panel["targets"] for name in series(target["expr"])}
    shown = {base(name) for name in asked}
    assert {base(name) for name in exposed if name.startswith("clip_")} <= shown


def base(name: str) -> str:
    return re.sub(r"_(bucket|count|sum)$", "", name)


def test_a_night_without_jobs_shows_no_number_where_there_is_none(tmp_path: Path) -> None:
    """What is divided by nothing is NaN, which Grafana writes in big letters; no sample at all is "none yet"."""
    asked = [filled(target["expr"]) for panel in PANELS.values() if panel["type"] == "stat" for target in panel["targets"]]
    ratios = [expression for expression in asked if " / " in expression or "quantile" in expression]
    idle = [
        {
            "series": f'{name}{{job="clipstream-clipper",instance="a",outcome="done",subtitles="none",priority="normal",le="30.0"}}',
            "values": "7x300",
        }
        for name in sorted({name for expression in ratios for name in series(expression)})
    ]
    looks = [{"expr": expression, "eval_time": "4h", "exp_samples": []} for expression in ratios]
    (tmp_path / "idle.yml").write_text(
        yaml.safe_dump({"rule_files": [], "tests": [{"interval": "1m", "input_series": idle, "promql_expr_test": looks}]})
    )
    assert len(ratios) >= 4
    assert "SUCCESS" in promtool("test", "rules", tmp_path / "idle.yml")
