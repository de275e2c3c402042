"""A look at a source without a job: what the API asks of a resolver and what comes back, over NATS request and reply. Pure.

The subject is a contract of ours, beside those of spec section 1.
"""

import msgspec

from libs.common.domain.failures import Code, Failure
from libs.common.domain.values import AudioTrack, SourceType, VideoTrack

SUBJECT = "clipstream.sources.probe"
SECONDS = 30.0
"""The longest that a resolver looks before it says that it was too long."""


class Source(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Where a clip is to come from: the key of an upload, or a URL that was checked (and may carry a secret)."""

    source_type: SourceType
    upload_key: str | None = None
    source_url: str | None = None


class ProbeRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The range in seconds, where one was named: `end` only with a `start`."""

    source: Source
    start: float | None = None
    end: float | None = None


class Format(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """One of the forms in which a site offers a source; `size` in bytes."""

    id: str
    container: str | None = None
    width: int | None = None
    height: int | None = None
    codecs: str | None = None
    size: int | None = None


class Refusal(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A Failure on its way between two services."""

    code: Code
    message: str
    hint: str | None = None
    retry_after: float | None = None

    @property
    def failure(self) -> Failure:
        return Failure(self.code, self.message, hint=self.hint, retry_after=self.retry_after)


class ProbeAnswer(msgspec.Struct, frozen=True, kw_only=True, rename="camel", tag_field="type", tag="answer"):
    """What is known of the source, and why a job on it would be refused, if it would. Seconds, bytes."""

    duration: float | None = None
    size: int | None = None
    container: str | None = None
    """The demuxer that reads it: mov, matroska, mpegts …"""
    video: VideoTrack | None = None
    audio: AudioTrack | None = None
    formats: tuple[Format, ...] = ()
    title: str | None = None
    keyframes: tuple[float, ...] = ()
    """Near the ends of the range, rising, from the last at or before `start` on."""
    section: bool = False
    """Only the part that is asked for would be fetched."""
    refusal: Refusal | None = None


class ProbeFailed(msgspec.Struct, frozen=True, kw_only=True, rename="camel", tag_field="type", tag="failed"):
    """Nothing could be found out this time."""

    refusal: Refusal


ProbeReply = ProbeAnswer | ProbeFailed

_requests = msgspec.json.Decoder(ProbeRequest)
_replies: msgspec.json.Decoder[ProbeReply] = msgspec.json.Decoder(ProbeReply)


def refusal_of(failure: Failure) -> Refusal:
    return Refusal(code=failure.code, message=failure.message, hint=failure.own_hint, retry_after=failure.retry_after)


def request_of(body: bytes) -> ProbeRequest:
    """Raises Failure(BAD_REQUEST)."""
    try:
        return _requests.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Failure(Code.BAD_REQUEST, f"the request can't be read: {error}") from error


def answer_of(body: bytes) -> ProbeAnswer:
    """Raises the resolver's own Failure, and Failure(INTERNAL) for what is no reply."""
    try:
        reply = _replies.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Failure(Code.INTERNAL, "a resolver's answer can't be read") from error
    if isinstance(reply, ProbeFailed):
        raise reply.refusal.failure
    return reply
