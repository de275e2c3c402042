from bench.figures import Figure, at_least, at_most, every, percentile, table


def test_a_ratio_at_its_limit_reaches_the_target() -> None:
    assert at_most(0.25, 0.25) == ("<= 0.25 x", "reached")
    assert at_most(0.26, 0.25)[1] == "missed"
    assert at_least(6, 6) == (">= 6 x", "reached")
    assert at_least(5.9, 6)[1] == "missed"


def test_all_of_none_is_not_all() -> None:
    assert every(200, 200) == ("200 of 200", "reached")
    assert every(199, 200)[1] == "missed"
    assert every(0, 0)[1] == "missed"


def test_a_percentile_is_one_of_the_values() -> None:
    values = [float(n) for n in range(1, 101)]
    assert [percentile(values, part) for part in (0, 0.5, 0.95, 1)] == [1, 50, 95, 100]
    assert percentile([7.0], 0.95) == 7


def test_the_table_lines_its_columns_up_and_ends_with_what_there_is_to_say() -> None:
    lines = table([Figure(row="1", what="long name", ours="1", ratio=0.25), Figure(row="11", what="x", ours="2", detail="why")]).split("\n")
    assert {line.index(cell) for line, cell in zip((lines[0], lines[2], lines[3]), ("what", "long", "x"), strict=True)} == {5}
    assert "0.25" in lines[2]
    assert lines[-1] == "  11 x: why"
