"""Frames of a stream: whatever is read at once, and wherever a client begins, it is told each event behind its place once."""

import json
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from libs.common.domain.events import StageName, StageProgress
from libs.common.domain.job import fold
from services.api.event_frames import Numbered, Telling, moment
from tests.builders import burned, history, ready, requested, retried, started, transcribed, uploaded

EVENTS = history(
    requested(with_subtitles=True, burn_subtitles=True, metadata={"title": "one\n\ndata: two\r\nid: 9\u2028"}),
    *(started(StageName.RESOLVER), ready(), started(StageName.CLIPPER)),
    *(StageProgress(stage=StageName.CLIPPER, progress=0.5), retried(StageName.CLIPPER), started(StageName.CLIPPER, 2), uploaded()),
    *(transcribed(), burned()),
)
NUMBERED: list[Numbered] = list(enumerate(EVENTS, 1))
cuts = st.lists(st.integers(0, len(NUMBERED)), max_size=5).map(lambda places: sorted({0, len(NUMBERED), *places}))


def told(frames: bytes) -> list[tuple[int, str, dict[str, object]]]:
    """As a client reads them: by WHATWG HTML 9.2.6."""
    found = []
    for block in frames.decode().split("\n\n")[:-1]:
        fields = dict(line.split(": ", 1) for line in block.split("\n"))
        found.append((int(fields["id"]), fields["event"], json.loads(fields["data"])))
    return found


@given(after=st.integers(0, len(NUMBERED) + 1), places=cuts)
def test_each_event_behind_a_place_is_told_once_however_it_was_read(after: int, places: list[int]) -> None:
    telling = Telling(after)
    frames = b"".join(telling.frames(NUMBERED[begin:end]) for begin, end in pairwise(places))
    assert [number for number, *_ in told(frames)] == [number for number, _ in NUMBERED if number > after]
    assert (telling.seq, telling.job) == (len(NUMBERED), fold(EVENTS))


def test_each_event_comes_with_the_job_after_it() -> None:
    for number, kind, data in told(Telling(0).frames(NUMBERED)):
        job = moment(fold(EVENTS[:number]))
        assert data["job"] == {"status": job.status, "stage": job.stage, "progress": job.progress}
        assert data["type"] == kind


def test_an_event_of_a_newer_version_is_passed_over_and_never_read_again() -> None:
    telling = Telling(0)
    assert [number for number, *_ in told(telling.frames([NUMBERED[0], (2, None), (3, EVENTS[1])]))] == [1, 3]
    assert telling.frames([(4, None)]) == b""
    assert telling.seq == 4
