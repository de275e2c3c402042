"""What is asked of a transcriber: how much of a prompt goes along, and what a model is not asked for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.domain.failures import Code
from libs.common.domain.languages import abilities
from services.asr.model import local_abilities
from services.asr.transcriber import refusal
from services.asr.wish import PROMPT_TOKENS, Wish


@given(st.text(max_size=2000))
def test_a_hint_is_the_end_of_the_prompt_with_its_white_space_folded(prompt: str):
    hint = Wish(prompt=prompt).hint
    assert " ".join(prompt.split()).encode(errors="replace").decode().endswith(hint)
    assert len(hint.encode()) <= PROMPT_TOKENS * 2.5


@pytest.mark.parametrize(
    ("prompt", "length"), [("name " * 500, 559), ("あ" * 500, 149), ("ж" * 500, 224), ("short", 5), ("", 0), (None, 0)]
)
def test_a_hint_is_as_long_as_a_model_reads(prompt: str | None, length: int):
    assert len(Wish(prompt=prompt).hint) == length


@given(st.lists(st.text("abcdefgh", min_size=1, max_size=12), max_size=300))
def test_a_hint_has_no_half_words(words: list[str]):
    hint = Wish(prompt=" ".join(words)).hint.split()
    assert hint == words[len(words) - len(hint) :]


@pytest.mark.parametrize(
    ("model", "wish", "field"),
    [
        ("whisper-large-v3-turbo", Wish("de"), None),
        ("whisper-large-v3-turbo", Wish("xx"), "subtitleLang"),
        ("whisper-large-v3-turbo", Wish(task="translate"), "subtitleTask"),
        ("whisper-large-v3", Wish("fr", task="translate"), None),
        ("distil-whisper-large-v3-en", Wish("fr"), "subtitleLang"),
    ],
)
def test_what_a_model_cannot_do_is_refused_by_the_fields_name(model: str, wish: Wish, field: str | None):
    refused = refusal(abilities(model), wish)
    assert (refused and (refused.code, refused.message.split(":")[0])) == (field and (Code.VALIDATION_FAILED, field))


@pytest.mark.parametrize(("wish", "able"), [(Wish("en"), True), (Wish(), True), (Wish("de"), False), (Wish("en", task="translate"), False)])
def test_the_model_of_the_wheel_knows_english_alone(wish: Wish, *, able: bool):
    assert (refusal(local_abilities("tiny.en"), wish) is None) is able
