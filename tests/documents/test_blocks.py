"""The reader of documents itself: what it finds, what it runs, and what it calls an answer as shown."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.documents.blocks import Block, blocks_of, is_shown, pasted

ANSWERS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


def block(text: str, language: str = "bash", place: int = 1) -> Block:
    return Block("a page", place, "", language, text)


def test_a_block_knows_its_heading_and_a_comment_in_it_is_none() -> None:
    found = blocks_of("docs/uploads.md", "sh")
    assert [one.heading for one in found] == ["A small file", "A large file", "Going on where it broke off", "Going on where it broke off"]


def test_of_a_transcript_only_what_is_typed_is_run() -> None:
    assert block("$ ls\nfile\n$ pwd\n", "console").commands == ["ls", "pwd"]


async def test_blocks_share_one_shell_and_each_has_its_own_output(tmp_path: Path) -> None:
    blocks = [block("one=1\n"), block("print(2)\n", "python", 2), block('{"not": "run"}\n', "json"), block("$ echo $one\n1\n", "console")]
    assert await pasted(blocks, tmp_path, {"PATH": "/usr/bin:/bin"}) == ["", "2\n", "", "1\n"]


async def test_what_does_not_end_is_ended_and_told_with_what_it_printed(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=r"a page-1 does not end(.|\n)*so far"):
        await pasted([block("sleep 60 & echo so far; wait\n")], tmp_path, {"PATH": "/usr/bin:/bin"}, seconds=0.5)


async def test_a_command_that_fails_fails_the_test_and_ends_the_rest(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=r"a page-1 failed(.|\n)*no such thing"):
        await pasted([block("echo no such thing >&2; false | cat\n"), block("touch reached\n")], tmp_path, {"PATH": "/usr/bin:/bin"})
    assert not (tmp_path / "reached").exists()


@given(ANSWERS)
def test_every_answer_may_be_shown_as_it_is(answer: Any) -> None:
    assert is_shown(answer, json.loads(json.dumps(answer)))


@given(st.dictionaries(st.text(max_size=5), ANSWERS, min_size=1, max_size=4), st.data())
def test_fields_may_be_left_out_of_what_is_shown_and_none_added(answer: dict[str, Any], data: st.DataObject) -> None:
    left_out = data.draw(st.sampled_from(sorted(answer)))
    fewer = {name: value for name, value in answer.items() if name != left_out}
    assert is_shown(fewer, answer)
    assert not is_shown(answer, fewer)


@pytest.mark.parametrize(
    ("wanted", "got"), [("done", "failed"), ("GONE", "CONFLICT"), (True, False), (1, True), ([{"a": 1}], []), ({"a": {}}, {"a": []})]
)
def test_what_is_shown_and_is_not_so_is_found(wanted: Any, got: Any) -> None:
    assert not is_shown(wanted, got)


def test_ids_urls_and_times_may_be_others() -> None:
    assert is_shown({"id": "7c1de0d6-…", "at": "2026-11-21T12:00:00Z", "size": 3}, {"id": "0b8f", "at": "2027", "size": 4})
