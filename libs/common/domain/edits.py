"""A transcript that a client edited and put back: how the API hands it to the asr stage, and how a replay says that it is one. Pure."""

from hashlib import sha256
from uuid import UUID

import msgspec

from libs.common.domain.failures import Code, Failure

_MARK = "edit:"


class EditedCue(msgspec.Struct, frozen=True):
    """What is shown from `start` to `end`, whole milliseconds from the clip's first frame."""

    start: int
    end: int
    lines: tuple[str, ...]


class EditedTranscript(msgspec.Struct, frozen=True):
    """Cues in order, apart from each other and within the clip. `language` is ISO 639-1, or `und`."""

    language: str
    cues: tuple[EditedCue, ...]


_decoder = msgspec.json.Decoder(EditedTranscript)


def encode_edit(edit: EditedTranscript) -> bytes:
    return msgspec.json.encode(edit)


def decode_edit(body: bytes) -> EditedTranscript:
    """Raises Failure(INTERNAL) for what `encode_edit` never wrote."""
    try:
        return _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Failure(Code.INTERNAL, "the edited transcript can't be read") from error


def edit_source(body: bytes) -> str:
    """The `source` of the replay that puts this transcript back: the same one twice is one edit."""
    return f"{_MARK}{sha256(body).hexdigest()}"


def is_edit(source: str) -> bool:
    return source.startswith(_MARK)


def edit_key(job_id: UUID, source: str) -> str:
    """Where the transcript lies: each has an object of its own, so that of two that come at once neither ends under the other's name."""
    return f"results/{job_id}/edited-{source.removeprefix(_MARK)}.json"
