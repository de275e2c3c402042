"""The judge finds what is wrong, and finds nothing with ours: on real speech, and on hundreds of transcripts beside the peer."""

from collections import Counter

import pytest

from services.asr.cues import Cue, cues
from services.asr.rules import HORIZONTAL, VERTICAL, Layout
from services.asr.transcriber import Audio, Transcriber
from services.asr.transcript import Word
from services.asr.wish import Wish
from tests.asr import greedy
from tests.asr.generated import generated
from tests.asr.judging import violations
from tests.asr.recordings import BECKETT, TWO_CITIES, Recording
from tests.thorough import IS_THOROUGH


@pytest.fixture(scope="module")
async def heard(warm: Transcriber) -> dict[Recording, tuple[Word, ...]]:
    """What the local model makes of the recordings."""
    return {one: (await warm.transcribe(Audio(one.path, one.seconds), Wish("en"))).words for one in (TWO_CITIES, BECKETT)}


SAID = [Word("We", 1.0, 1.2), Word("went", 1.2, 1.5), Word("home.", 1.5, 2.0), Word("And", 4.0, 4.3), Word("then", 4.3, 5.0)]
GOOD = (Cue(1000, 2000, ("We went home.",)), Cue(4000, 5000, ("And then",)))


def faults(*shown: Cue, words: list[Word] = SAID, language: str = "en") -> list[str]:
    return violations(shown, words, HORIZONTAL, seconds=6.0, language=language)


def test_what_is_right_passes():
    assert faults(*GOOD) == []


@pytest.mark.parametrize(
    ("shown", "fault"),
    [
        ([Cue(1000, 2000, ("We went",)), GOOD[1]], "a word is lost"),
        ([Cue(1000, 4100, ("We went home.",)), GOOD[1]], "overlap"),
        ([GOOD[0], Cue(4000, 6001, ("And then",))], "outside the clip"),
        ([Cue(1000, 2000, ("We", "went", "home.")), GOOD[1]], "more than two lines"),
        ([Cue(1000, 1800, ("We went home.",)), GOOD[1]], "shown too shortly"),
        ([Cue(1000, 3950, ("We went home.",)), GOOD[1]], "less than two frames apart"),
        ([Cue(1000, 3700, ("We went home.",)), GOOD[1]], "a small gap"),
        ([Cue(999, 2000, ("We went home.",)), GOOD[1]], "before its first word"),
        ([Cue(1200, 2100, ("We went home.",)), GOOD[1]], "after its first word"),
        ([Cue(1000, 1900, ("We went home.",)), GOOD[1]], "gone before its last word"),
        ([Cue(1000, 2600, ("We went home.",)), GOOD[1]], "held too long"),
        ([Cue(0, 7001, ("We went home. And then",))], "shown too long"),
    ],
)
def test_the_judge_finds_a_fault_of_time(shown: list[Cue], fault: str):
    assert fault in faults(*shown)


@pytest.mark.parametrize(
    ("lines", "fault"),
    [
        (("x" * 43,), "a line too long"),
        (("字" * 22,), "a line too long"),
        (("a" * 30, "b" * 30), "too fast to read"),
        (("Twelve o'clock of", "1984"), "a last line that is a number"),
        (("Home", ", again"), "a line begins with punctuation"),
        (("Home (", "again)"), "a line ends with an opening"),
        (("Home to the", "sea"), "article parted from its noun"),
        (("Then came Charles", "Dickens."), "name parted from surname"),
    ],
)
def test_the_judge_finds_a_fault_of_text(lines: tuple[str, ...], fault: str):
    assert fault in faults(Cue(1000, 3000, lines), words=[Word("".join(lines), 1.0, 3.0)])


@pytest.mark.parametrize("layout", [HORIZONTAL, VERTICAL], ids=["42 columns", "22 columns"])
def test_hundreds_of_transcripts_break_no_rule(layout: Layout):
    found: Counter[str] = Counter()
    for seed in range(400 if IS_THOROUGH else 100):
        made = generated(seed)
        shown = cues(made.words, made.seconds, layout, language=made.language)
        found.update(violations(shown, made.words, layout, seconds=made.seconds, language=made.language))
    assert found == Counter()


def test_the_judge_is_not_content_with_the_peer():
    found: Counter[str] = Counter()
    for seed in range(100):
        made = generated(seed)
        found.update(
            violations(greedy.cues(made.words, made.seconds), made.words, HORIZONTAL, seconds=made.seconds, language=made.language)
        )
    assert min(found[name] for name in ("a line too long", "article parted from its noun", "name parted from surname")) > 0


def test_speech_faster_than_can_be_read_costs_neither_words_nor_lines_nor_the_order():
    ours: Counter[str] = Counter()
    for seed in range(200 if IS_THOROUGH else 60):
        made = generated(seed, fastest=30.0)
        shown = cues(made.words, made.seconds, language=made.language)
        ours.update(violations(shown, made.words, HORIZONTAL, seconds=made.seconds, language=made.language))
    assert set(ours) <= {"too fast to read", "shown too shortly", "article parted from its noun", "name parted from surname"}
    assert ours["too fast to read"]


@pytest.mark.parametrize("layout", [HORIZONTAL, VERTICAL], ids=["42 columns", "22 columns"])
def test_cues_of_real_speech_break_no_rule(layout: Layout, heard: dict[Recording, tuple[Word, ...]]):
    for recording, words in heard.items():
        facts = {"seconds": recording.seconds, "language": "en"}
        ours = violations(cues(words, recording.seconds, layout, language="en"), words, layout, **facts)
        peers = violations(greedy.cues(words, recording.seconds), words, layout, **facts)
        assert (recording.name, ours) == (recording.name, [])
        assert peers, "a judge that is content with the peer proves nothing"
