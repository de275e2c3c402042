"""The page of the targets: rows in their order, each figure's distance from its target, the picture."""

from pathlib import Path

import pytest

from bench.figures import Figure
from bench.rows import drawn, in_order, page, share_of_target


def figure(row: str, ratio: float | None = None, target: str = "") -> Figure:
    verdict = "reached" if target else "not judged"
    return Figure(row=row, what=f"what of {row} | more", ours="1 s", ratio=ratio, target=target, verdict=verdict)  # type: ignore[arg-type]


def test_rows_come_by_their_number_and_what_is_in_no_row_behind_them() -> None:
    assert [one.row for one in in_order([figure("R1"), figure("10"), figure("9"), figure("1")])] == ["1", "9", "10", "R1"]


@pytest.mark.parametrize(
    ("ratio", "target", "share"),
    [
        (0.2, "<= 0.25 x", 0.8),
        (0.5, "<= 0.25 x", 2.0),
        (12.0, ">= 6 x", 0.5),
        (3.0, ">= 6 x", 2.0),
        (0.376, "<= 1 x of 500.0 ms", 0.376),
        (None, "200 of 200", None),
        (None, ">= 1000/min, 0 failed", None),
        (1.2, "", None),
    ],
)
def test_a_figure_s_share_of_its_target_is_below_one_where_it_is_reached(ratio: float | None, target: str, share: float | None) -> None:
    assert share_of_target(figure("1", ratio, target)) == (pytest.approx(share) if share else None)


def test_the_page_and_the_picture_hold_every_figure(tmp_path: Path) -> None:
    figures = [figure("1", 0.2, "<= 0.25 x"), figure("7")]
    text = page(figures, {"http": {"date": "2026-11-22T02:24:58", "cores": 2, "processor": "X"}}, "targets.png")
    assert text.count("what of") == 2
    assert "what of 1 \\| more" in text
    assert "http: 2026-11-22, 2 cores (X)" in text
    drawn(figures, tmp_path / "targets.png")
    assert (tmp_path / "targets.png").read_bytes().startswith(b"\x89PNG")
