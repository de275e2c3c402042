"""The child process that holds a faster-whisper model: one JSON line in for each audio file, one line of verbose_json out.

It begins with the line `{"ready": true}`. Whatever goes wrong ends it: its parent (local.py) starts another.
"""

import json
import os
import sys
from collections.abc import Iterable, Iterator
from typing import Any, TextIO


def main(model_folder: str, threads: str, beam: str) -> None:
    answers = _answers()
    model = _load(model_folder, int(threads))
    _say(answers, {"ready": True})
    for line in sys.stdin:
        request = json.loads(line)
        _say(answers, _transcribed(model, request.pop("audio"), int(beam), request))


def _answers() -> TextIO:
    """The way to the parent. What a library prints goes to stderr, or it would be taken for an answer."""
    sys.stdout.flush()
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return answers


REST = 0.7
"""Seconds behind the last word that are not worth a window of their own: of so little the model makes up something, in up to six tries."""
QUIET = {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "ORT_DISABLE_TELEMETRY": "1"}
"""Nothing is fetched and nothing is reported: onnxruntime, which finds the voice, else keeps a database in ~/.cache and sends it."""


def _load(folder: str, threads: int) -> Any:
    os.environ.update(QUIET)
    from faster_whisper import WhisperModel  # noqa: PLC0415  after the variables above, which are read at import

    return WhisperModel(folder, device="cpu", compute_type="int8", cpu_threads=threads, local_files_only=True)


def _transcribed(model: Any, audio: str, beam: int, wish: dict[str, Any]) -> dict[str, Any]:
    """verbose_json with the words inside the segments. With the voice filter, silence gives no words, without it "You" (findings A2).

    The wish is language, task and initial_prompt, as the model names them.
    """
    segments, about = model.transcribe(
        audio, beam_size=beam, vad_filter=True, condition_on_previous_text=False, word_timestamps=True, **wish
    )
    heard = [_segment(segment) for segment in _until_the_end(segments, about.duration)]
    return {"language": about.language, "duration": about.duration, "segments": heard}


def _until_the_end(segments: Iterable[Any], duration: float) -> Iterator[Any]:
    """Segments as they are heard, a window of sound at a time, without a window for the rest of a cut-off word."""
    for segment in segments:
        yield segment
        if segment.words and duration - segment.words[-1].end < REST:
            return


def _segment(segment: Any) -> dict[str, Any]:
    words = [{"word": word.word, "start": float(word.start), "end": float(word.end)} for word in segment.words or ()]
    return {"text": segment.text, "start": float(segment.start), "end": float(segment.end), "words": words}


def _say(answers: TextIO, answer: dict[str, Any]) -> None:
    answers.write(json.dumps(answer) + "\n")
    answers.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
