"""Which language a model can do, by its name."""

import pytest

from libs.common.domain.languages import CODES, ISO_639_1, abilities, is_known, iso_code, whisper_code


@pytest.mark.parametrize(
    "name",
    [
        *("tiny.en", "small.en/", "/models/faster-whisper-tiny.en", "Systran/faster-whisper-medium.en", "base.en-ct2-int8"),
        *("distil-whisper-large-v3-en", "distil-whisper/distil-large-v3.5", "distil-small.en"),
    ],
)
def test_an_english_only_model_is_known_by_its_name(name: str) -> None:
    assert (abilities(name).languages, abilities(name).translates) == ({"en"}, False)


@pytest.mark.parametrize(
    ("name", "translates"),
    [("whisper-large-v3", True), ("whisper-large-v3-turbo", False), ("tiny", True), ("/models/large-v3", True), ("token-bench", True)],
)
def test_a_multilingual_model_knows_whispers_languages(name: str, translates: bool) -> None:
    can = abilities(name)
    assert {"en", "de", "zh", "ar", "th", "nb", "jv"} <= can.languages
    assert "zu" not in can.languages
    assert can.translates is translates


def test_a_folder_is_named_without_its_path() -> None:
    assert abilities("/srv/models/tiny.en/").model == "tiny.en"


def test_whispers_languages_are_a_hundred_and_all_but_two_have_two_letters() -> None:
    assert len(CODES) == 100
    assert {"haw", "yue"} == CODES - ISO_639_1


@pytest.mark.parametrize(("name", "code"), [("English", "en"), ("pt-BR", "pt"), ("jw", "jv"), (None, "und"), ("klingon", "und")])
def test_a_providers_word_for_a_language_becomes_its_code(name: object, code: str) -> None:
    assert iso_code(name) == code


def test_whispers_own_codes_are_used_towards_it() -> None:
    assert [whisper_code(code) for code in ("jv", "nb", "de")] == ["jw", "no", "de"]
    assert is_known("nb")
    assert not is_known("zu")
