import json
from pathlib import Path

import pytest

from bench import published
from bench.figures import Figure

FIGURE = Figure(row="1", what="what", ours="1")


def test_what_one_benchmark_publishes_leaves_the_others_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(published, "PUBLISHED", tmp_path / "performance.json")
    published.publish("cutting", [FIGURE, FIGURE], {"cores": 2})
    published.publish("sources", [FIGURE], {"cores": 4})
    published.publish("cutting", [FIGURE], {"cores": 8})
    found = json.loads((tmp_path / "performance.json").read_text())
    assert {name: (part["machine"]["cores"], len(part["figures"]), part["quick"]) for name, part in found.items()} == {
        "cutting": (8, 1, False),
        "sources": (4, 1, False),
    }
