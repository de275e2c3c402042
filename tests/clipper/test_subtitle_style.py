"""Subtitles as ASS: text stays text, whatever it says, and fits the picture."""

import pysubs2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.clipper.subtitle_style import Look, ass, drawable

LOOK = Look(font="Noto Sans", size=5.5, outline=0.3, margin=5.0)


def srt(*texts: str) -> str:
    return "\n".join(f"{n}\n00:00:0{n},000 --> 00:00:0{n + 1},000\n{text}\n" for n, text in enumerate(texts))


def parsed(text: str | None) -> pysubs2.SSAFile:
    assert text is not None
    return pysubs2.SSAFile.from_string(text, format_="ass")


def test_cues_keep_their_times_and_lines():
    file = parsed(ass(srt("one\ntwo", "three"), LOOK, 1280, 720))
    assert [(e.start, e.end, e.text) for e in file] == [(0, 1000, r"one\Ntwo"), (1000, 2000, "three")]


def test_the_picture_is_the_play_resolution_and_lines_are_ours():
    file = parsed(ass(srt("one"), LOOK, 1280, 720))
    wanted = {"PlayResX": "1280", "PlayResY": "720", "WrapStyle": "2", "ScaledBorderAndShadow": "yes"}
    assert wanted.items() <= dict(file.info).items()
    style = file.styles["Default"]
    assert (style.fontname, style.fontsize, style.outline, style.marginv) == ("Noto Sans", 39.6, 2.2, 36)


def test_a_full_line_fits_an_upright_picture():
    style = parsed(ass(srt("one"), LOOK, 1080, 1920)).styles["Default"]
    assert style.fontsize * 21 <= 1080


@pytest.mark.parametrize(
    ("text", "drawn"),
    [
        (r"{\b1}bold", "\uff5b\\\u2060b1\uff5dbold"),
        (r"a\hb", "a\\\u2060hb"),
        ("<i>a</i> & b", "<i>a</i> & b"),
        ("tab\tand\x00nul\u2028sep", "tab and nul sep"),
        ("well 👍🏽 done 🎉", "well done"),
        ("family 👨‍👩‍👧 1️⃣ 🇩🇪", "family"),
        ("♪ sun ☀ →", "♪ sun ☀ →"),
        ("می‌خواهم نوشتن", "می‌خواهم نوشتن"),
        ("🎉", ""),
    ],
)
def test_text_is_only_text(text: str, drawn: str):
    assert drawable(text) == drawn


def test_nothing_to_draw_is_no_file():
    assert ass("", LOOK, 160, 96) is None
    assert ass(srt("🎉", "  "), LOOK, 160, 96) is None


@given(st.text(max_size=80))
def test_no_text_can_command_libass(text: str):
    drawn = drawable(text)
    assert "{" not in drawn
    assert "}" not in drawn
    assert all(line.isprintable() or not set(line) & set("\r\n\x0b\x0c\x85") for line in [drawn])
    assert all(rest[:1] in {"N", "\u2060"} for rest in drawn.split("\\")[1:])


@given(st.lists(st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40), min_size=1, max_size=4))
def test_every_event_is_one_line_of_the_file(texts: list[str]):
    drawn = ass(srt(*texts), LOOK, 160, 96)
    if drawn is None:
        return
    events = drawn.split("[Events]\n")[1].strip().split("\n")[1:]
    assert all(line.startswith("Dialogue: ") for line in events)
    assert len(events) <= len(texts)
