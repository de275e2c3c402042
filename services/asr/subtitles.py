"""A clip's subtitles, made of a transcript or of what a client edited, and the files that they come in. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from libs.common.domain.edits import EditedCue, EditedTranscript
from libs.common.domain.values import VideoTrack
from services.asr import writers
from services.asr.cleaning import clean
from services.asr.cues import Cue, cues
from services.asr.rules import FRAME_SECONDS, HORIZONTAL, VERTICAL
from services.asr.timing import settled
from services.asr.transcript import Transcript, Word, spread

SRT, VTT, TEXT, JSON = "clip.srt", "clip.vtt", "clip.txt", "clip.json"
MEDIA_TYPES = {
    SRT: "application/x-subrip; charset=utf-8",
    VTT: "text/vtt; charset=utf-8",
    TEXT: "text/plain; charset=utf-8",
    JSON: "application/json",
}


@dataclass(frozen=True, slots=True)
class Subtitles:
    """Of a clip that lasts `seconds`. `words`: all that is said, for text and JSON."""

    language: str
    seconds: float
    cues: tuple[Cue, ...]
    words: Sequence[Word]

    def files(self) -> Mapping[str, bytes]:
        """Content by name."""
        return {
            SRT: writers.srt(self.cues).encode(),
            VTT: writers.vtt(self.cues).encode(),
            TEXT: writers.text(self.words).encode(),
            JSON: writers.as_json(self.language, self.seconds, self.cues, self.words),
        }


def from_transcript(transcript: Transcript, seconds: float, picture: VideoTrack | None) -> Subtitles:
    """Lines narrower for a picture that is higher than wide, cues apart by two of its own frames."""
    layout = VERTICAL if picture and picture.height > picture.width else HORIZONTAL
    frame = 1 / picture.frame_rate if picture and picture.frame_rate > 0 else FRAME_SECONDS
    shown = cues(transcript.words, seconds, layout, language=transcript.language, frame=frame)
    return Subtitles(transcript.language, seconds, shown, settled(transcript.words, seconds))


def from_edit(edit: EditedTranscript, seconds: float) -> Subtitles:
    """Cues and lines as the client has them; each word gets its share of its cue's time."""
    shown = tuple(cue for cue in map(_cue, edit.cues) if cue.lines)
    return Subtitles(edit.language, seconds, shown, [word for cue in shown for line in cue.words for word in line])


def _cue(edited: EditedCue) -> Cue:
    lines = tuple(line for line in map(clean, edited.lines) if line)
    timed = iter(spread(" ".join(lines), edited.start / 1000, edited.end / 1000))
    return Cue(edited.start, edited.end, lines, tuple(tuple(next(timed) for _ in line.split()) for line in lines))
