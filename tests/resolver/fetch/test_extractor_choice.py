"""An extractor is tried where its expressions could match, and nowhere else; never is the right one left out."""

import importlib
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from yt_dlp.extractor import list_extractor_classes

from services.resolver.fetch import extractor_choice
from services.resolver.fetch.extractor_choice import Table, possible
from tests.thorough import some
from tools.url_literals import needed, table

CLASSES = {each.ie_key(): each for each in list_extractor_classes()}
LAZY = {key: each for key, each in CLASSES.items() if key != "Generic"}
TOLD = [key for key in extractor_choice._literals() if isinstance(LAZY[key]._VALID_URL, str)]
MODULES = sorted({each._module for each in LAZY.values()})


def test_the_table_is_that_of_the_yt_dlp_that_is_installed() -> None:
    assert Table(yt_dlp=table().yt_dlp, literals=dict(extractor_choice._literals())) == table(), "run python -m tools.url_literals"


@pytest.mark.parametrize(
    ("pattern", "literals"),
    [
        (r"https?://(?:www\.)?vimeo\.com/(?P<id>\d+)", ("vimeo.com/",)),
        (r"(?i)https?://(?:www\.)?VIMEO\.com/(\d+)", ("vimeo.com/",)),
        ("(?x) https?://  # a comment\n (?:player\\.)? ab\\.example / [0-9]+", ("ab.example/",)),
        (r"https?://(?:one\.example|two\.example)/\d", ("one.example", "two.example")),
        (r"https?://(?:one\.example|[^/]+)/\d", ()),
        (r"https?://(?:one\.example/)?\d", ()),
        (r"https?://(?:one\.example/)+\d", ("one.example/",)),
        (r"https?://(?!one\.example)\w+", ()),
        (r"a:\d", ()),
        (r".*", ()),
    ],
)
def test_what_a_pattern_can_not_match_without_is_read_from_it(pattern: str, literals: tuple[str, ...]) -> None:
    assert needed(pattern) == literals


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_whatever_a_pattern_of_an_extractor_matches_holds_one_of_its_literals(data: st.DataObject) -> None:
    key = data.draw(st.sampled_from(TOLD))
    pattern = CLASSES[key]._VALID_URL
    url = data.draw(st.from_regex(re.compile(pattern, re.ASCII), alphabet=st.characters(min_codepoint=32, max_codepoint=126)))
    assert any(literal in url.lower() for literal in needed(pattern))


@pytest.mark.parametrize("module", some(MODULES, 60))
def test_every_address_that_yt_dlp_tries_itself_on_finds_its_extractor(module: str) -> None:
    """Those of its own tests, by all classes of a module."""
    importlib.import_module(module)
    for key, each in LAZY.items():
        if each._module == module:
            urls = [case["url"] for case in each.get_testcases(include_onlymatching=True) if each.suitable(case["url"])]
            assert [url for url in urls if key not in set(possible(CLASSES, url))] == []


@pytest.mark.parametrize(
    "url", ["https://www.youtube.com/watch?v=BaW_jenozKc", "https://vimeo.com/56015672", "https://video.example/film.mp4"]
)
def test_few_are_tried_and_the_first_that_takes_it_is_the_same(url: str) -> None:
    tried = list(possible(CLASSES, url))
    first = lambda keys: next(key for key in keys if CLASSES[key].suitable(url))  # noqa: E731
    assert len(tried) < 50
    assert first(tried) == first(CLASSES)


def test_where_letters_can_t_be_compared_all_are_tried() -> None:
    assert list(possible(CLASSES, "https://vi\u212a.example/\u017f")) == list(CLASSES)


def test_with_another_yt_dlp_all_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extractor_choice, "__version__", "2000.01.01")
    extractor_choice._literals.cache_clear()
    try:
        assert list(possible(CLASSES, "https://video.example/")) == list(CLASSES)
    finally:
        extractor_choice._literals.cache_clear()
