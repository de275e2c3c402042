"""Captions as ASS: what is in the file. How it looks is seen in test_subtitle_pictures."""

import re
from dataclasses import replace
from itertools import pairwise

import pysubs2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.domain.failures import Code, Failure
from libs.common.runtime.fonts import fonts_folders
from services.clipper.ass import Drawing, ass
from services.clipper.captions import Caption, SpokenWord, captions_of_json, captions_of_srt
from services.clipper.subtitle_style import PRESETS, Look
from services.clipper.typefaces import all_faces
from services.clipper.typesetting import typeset

LOOK = Look(
    font="Noto Sans",
    size=4.5,
    outline=0.4,
    safe_area=5.0,
    colour="#FFFFFF",
    outline_colour="#000000",
    highlight="#FFD60A",
    position="bottom",
)
_FONTS = typeset(all_faces(fonts_folders()), "Noto Sans", "en", "")
TAG = re.compile(r"(?<!\\)\{[^}]*\}")


def drawing(style: str = "default", *, look: Look = LOOK, size: tuple[int, int] = (1280, 720)) -> Drawing:
    return Drawing(look, PRESETS[style], _FONTS, "en", *size)  # type: ignore[index]


def caption(*lines: str, words: tuple[SpokenWord, ...] = ()) -> Caption:
    return Caption(1000, 4000, lines, words)


def parsed(text: str | None) -> pysubs2.SSAFile:
    assert text is not None
    return pysubs2.SSAFile.from_string(text, format_="ass")


def shown(event: pysubs2.SSAEvent) -> str:
    return TAG.sub("", event.text)


def lit(event: pysubs2.SSAEvent) -> list[str]:
    return re.findall(r"\\1c&H0AD6FF&\}([^{\\]*)", event.text)


def test_cues_keep_their_times_and_lines():
    file = parsed(ass([caption("one", "two"), Caption(5000, 6000, ("three",))], drawing()))
    assert [(e.start, e.end, shown(e)) for e in file] == [(1000, 4000, r"one\Ntwo"), (5000, 6000, "three")]


def test_the_picture_is_the_play_resolution_and_lines_are_ours():
    file = parsed(ass([caption("one")], drawing()))
    wanted = {"PlayResX": "1280", "PlayResY": "720", "WrapStyle": "2", "ScaledBorderAndShadow": "yes"}
    assert wanted.items() <= dict(file.info).items()
    style = file.styles["Default"]
    assert (style.fontname, style.outline, style.marginl, style.marginr, style.encoding) == ("Noto Sans", 2.88, 64, 64, -1)


def test_what_is_set_is_in_the_style():
    other = replace(LOOK, size=6, outline=0.6, safe_area=10, colour="#102030", outline_colour="#405060", position="top")
    style = parsed(ass([caption("one")], drawing(look=other))).styles["Default"]
    assert (style.primarycolor, style.outlinecolor) == (pysubs2.Color(16, 32, 48), pysubs2.Color(64, 80, 96))
    assert (style.alignment, style.marginl, style.fontsize > 50) == (pysubs2.Alignment.TOP_CENTER, 128, True)


def test_hdr_white_is_paper_and_no_lamp():
    paper = replace(LOOK, brightness=0.58)
    assert parsed(ass([caption("one")], drawing(look=paper))).styles["Default"].primarycolor == pysubs2.Color(148, 148, 148)


def test_a_right_to_left_line_says_so_whatever_it_begins_with():
    event = parsed(ass([caption("Google שלום עולם טוב")], drawing()))[0]
    assert shown(event).startswith("\u200fGoogle")


def test_the_spoken_word_is_lit_from_its_start_to_the_next_ones():
    words = (SpokenWord("One", 1200, 1500), SpokenWord("two,", 2000, 2400), SpokenWord("one", 3000, 3300))
    file = parsed(ass([caption("One two,", "one", words=words)], drawing("karaoke")))
    spells = [(e.start, e.end, "".join(lit(e))) for e in file]
    assert spells == [(1000, 1200, ""), (1200, 2000, "One"), (2000, 3000, "two,"), (3000, 4000, "one")]
    assert {shown(e) for e in file} == {r"One two,\None"}


def test_words_without_spaces_are_found_and_those_of_another_text_are_not():
    words = (SpokenWord("日本", 1000, 1500), SpokenWord("elsewhere", 1500, 1600), SpokenWord("語", 2000, 2400))
    file = parsed(ass([caption("日本語", words=words)], drawing("karaoke")))
    assert [lit(e) for e in file] == [["日本"], [], ["語"]]


times = st.integers(min_value=-100, max_value=6000)


@given(st.lists(st.builds(SpokenWord, st.text(alphabet="ab c日{", max_size=4), times, times), max_size=8))
def test_karaoke_shows_the_caption_without_a_gap_whatever_the_words_times_are(words: list[SpokenWord]):
    file = parsed(ass([caption("ab c日{", "ab", words=tuple(words))], drawing("karaoke")))
    assert (file[0].start, file[-1].end) == (1000, 4000)
    assert all(before.end == after.start for before, after in pairwise(file))


def test_nothing_to_draw_is_no_file():
    assert ass([], drawing()) is None
    assert ass([caption("🎉", "  ")], drawing()) is None


@given(st.lists(st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40), min_size=1, max_size=4))
def test_every_event_is_one_line_of_the_file(texts: list[str]):
    document = ass([caption(text) for text in texts], drawing())
    if document is None:
        return
    events = document.split("[Events]\n")[1].strip().split("\n")[1:]
    assert all(line.startswith("Dialogue: ") for line in events)
    assert len(events) <= len(texts)


def test_an_srt_is_read_with_its_markup_as_text():
    assert captions_of_srt("1\n00:00:01,000 --> 00:00:02,000\n{\\an8}<i>a</i>\nb\n") == (Caption(1000, 2000, (r"{\an8}<i>a</i>", "b")),)


def test_a_clip_json_is_read_with_its_words():
    document = b'{"language":"en","cues":[{"start":1.001,"end":2.5,"lines":["a b"],"words":[[{"word":"a","start":1.001,"end":1.2}]]}]}'
    assert captions_of_json(document) == (Caption(1001, 2500, ("a b",), (SpokenWord("a", 1001, 1200),)),)


@pytest.mark.parametrize("document", [b"", b"[]", b'{"cues": [{}]}', b'{"cues": 1}'])
def test_another_json_is_refused(document: bytes):
    with pytest.raises(Failure) as failed:
        captions_of_json(document)
    assert failed.value.code is Code.INTERNAL
