"""The targets of the fuzzer on what they begin with, cut and changed a little: the harnesses work, and the worst is found at once."""

import random

import pytest

from services.api.requests import Refused, from_form
from services.api.subtitle_files import from_file
from tests.fuzz.__main__ import TARGETS
from tests.fuzz.target import LARGEST, attempt

CHANGES = 60


def changed(seed: bytes, chance: random.Random) -> bytes:
    data = bytearray(seed)
    for _ in range(chance.randint(1, 6)):
        if data:
            data[chance.randrange(len(data))] = chance.choice((0, 1, 10, 0x7F, 0xFF, chance.randrange(256)))
    return bytes(data[: chance.choice((len(data), len(data) // 2))] * chance.choice((1, 1, 2)))


@pytest.mark.parametrize("name", TARGETS)
def test_a_parser_takes_or_refuses_what_is_like_its_seeds(name: str):
    target, chance = TARGETS[name], random.Random(name)
    seeds = list(target.seeds())
    assert seeds
    for data in [b"", *seeds, *(changed(chance.choice(seeds), chance) for _ in range(CHANGES))]:
        attempt(target, data)


@pytest.mark.parametrize("name", TARGETS)
def test_the_largest_input_is_cheap(name: str):
    target = TARGETS[name]
    for seed in target.seeds():
        attempt(target, (seed * (LARGEST // len(seed) + 1))[:LARGEST])
    for sign in (b"\0", b"\xff", b"(", b"<", b"[", b"{", b"&", b"\n", b"1"):
        attempt(target, sign * LARGEST)


@pytest.mark.parametrize("field", ["metadata", "segments"])
@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "\ud800"])
def test_a_form_s_field_that_is_nested_too_deep_is_refused(field: str, text: str):
    """Found by the fuzzer: it was an error of ours."""
    with pytest.raises(Refused, match="must be JSON"):
        from_form({field: text, "start": "1", "end": "2"})


def test_a_time_among_a_cue_s_settings_is_no_time_of_another_cue():
    """Found by the fuzzer: pysubs2 left such a cue out, and the count of cues was wrong."""
    [cue] = from_file(b"1\n00:00:01,000 --> 00:00:02,5 00:00:04,000\nBye\n", "srt")
    assert (cue.start, cue.end, cue.lines) == (1000, 2500, ("Bye",))


def test_two_short_times_in_a_line_of_text_are_refused():
    with pytest.raises(Refused, match="look like those of a cue"):
        from_file(b"WEBVTT\n\n00:01.000 --> 00:02.500\nfrom 12:30.55 to 12:40.11\n", "vtt")
