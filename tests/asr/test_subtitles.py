"""From a transcript, or from what a client edited, to the files of a clip's subtitles."""

import json

from libs.common.domain.edits import EditedCue, EditedTranscript
from libs.common.domain.values import VideoTrack
from services.asr.subtitles import JSON, SRT, TEXT, VTT, from_edit, from_transcript
from services.asr.transcript import Transcript, spread
from tests.asr.subrip import parsed

SENTENCE = "It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of foolishness."
PORTRAIT = VideoTrack(codec="h264", width=720, height=1280, frame_rate=25.0)


def transcript() -> Transcript:
    return Transcript(language="en", words=tuple(spread(SENTENCE, 0.5, 9.0)), provider="local", model="tiny.en", audio_seconds=10.0)


def edit(*cues: tuple[int, int, str]) -> EditedTranscript:
    return EditedTranscript("de", tuple(EditedCue(start, end, tuple(text.split("\n"))) for start, end, text in cues))


def test_lines_are_narrower_in_a_picture_that_is_higher_than_wide():
    wide, narrow = from_transcript(transcript(), 10.0, None), from_transcript(transcript(), 10.0, PORTRAIT)
    assert max(len(line) for cue in narrow.cues for line in cue.lines) <= 22
    assert max(len(line) for cue in wide.cues for line in cue.lines) > 22


def test_every_file_holds_every_word():
    files = from_transcript(transcript(), 10.0, None).files()
    assert " ".join(line for cue in parsed(files[SRT].decode()) for line in cue.lines) == SENTENCE
    assert files[TEXT].decode() == f"{SENTENCE}\n"
    assert files[VTT].startswith(b"WEBVTT")
    assert [word["word"] for word in json.loads(files[JSON])["words"]] == SENTENCE.split()


def test_an_edit_keeps_its_cues_lines_and_times():
    made = from_edit(edit((200, 1500, "Von Hand\ngeschrieben"), (1600, 2000, "und noch eins")), 4.0)
    assert [(cue.start, cue.end, cue.lines) for cue in made.cues] == [
        (200, 1500, ("Von Hand", "geschrieben")),
        (1600, 2000, ("und noch eins",)),
    ]
    assert made.language == "de"


def test_the_words_of_an_edit_share_its_cues_time_line_by_line():
    (cue,) = from_edit(edit((1000, 3000, "a bb\nccc")), 4.0).cues
    assert [[word.text for word in line] for line in cue.words] == [["a", "bb"], ["ccc"]]
    times = [time for line in cue.words for word in line for time in (word.start, word.end)]
    assert times == sorted(times)
    assert (times[0], times[-1]) == (1.0, 3.0)


def test_markup_in_an_edit_is_only_text():
    made = from_edit(edit((0, 1000, "{\\b1}big --> <i>a</i>"), (1000, 2000, "\u200b")), 4.0)
    assert len(made.cues) == 1
    assert not set("{}\\") & set(made.cues[0].lines[0])
    assert made.files()[SRT].decode().count("-->") == 1


def test_an_edit_without_a_cue_gives_empty_files():
    files = from_edit(edit(), 4.0).files()
    assert (files[SRT], files[TEXT]) == (b"", b"")
    assert json.loads(files[JSON])["cues"] == []
