"""What clients and other processes write to us: heads of HTTP, bodies, subtitle files, times, events, dead letters, lines."""

from contextlib import suppress

from msgspec import DecodeError

from libs.common.domain.dead_letters import USAGE, DiscardRequest, ReplayRequest, request_of
from libs.common.domain.events import decode, encode
from libs.common.domain.failures import Failure
from libs.common.domain.worker_reports import report_of
from libs.common.runtime.http_heads import answer_head, is_tunnel_open, proxy_request
from services.api import timecode
from services.api.bodies import NewJob, NewProbe, UploadWish
from services.api.plain_text import plain
from services.api.requests import Refused, decoded, from_form, from_query
from services.api.subtitle_files import from_file
from services.api.transcripts import from_json, transcript
from services.asr.cleaning import clean
from services.clipper.subtitle_text import drawn, guarded, is_right_to_left, is_seen
from services.janitor.dead_letters import BODY_LIMIT, DeadLetter
from services.resolver.fetch.words import decoded as line_of
from tests.builders import envelope, requested, uploaded
from tests.fuzz.target import Target


def head(data: bytes) -> None:
    lines = data.split(b"\r\n")
    for parse in (proxy_request, answer_head, is_tunnel_open):
        with suppress(Failure):
            parse(lines)


def subtitles(data: bytes) -> None:
    for kind in ("srt", "vtt"):
        with suppress(Refused):
            transcript(from_file(data, kind), seconds=60.0, language="en")


def edited(data: bytes) -> None:
    cues, language = from_json(data)
    transcript(cues, seconds=60.0, language=language or "en")


def body(data: bytes) -> None:
    for kind in (NewJob, NewProbe, UploadWish):
        with suppress(Refused):
            decoded(kind, data)
    text = data.decode("utf-8", "replace")
    fields = dict(part.partition("=")[::2] for part in text.split("&"))
    with suppress(Refused):
        from_form(fields)
    from_query(NewProbe, fields)


def time(data: bytes) -> None:
    found = timecode.milliseconds(data.decode("latin-1"))
    assert 0 <= found <= timecode.LATEST


def event(data: bytes) -> None:
    found = decode(data)
    assert decode(encode(found)) == found


def letter(data: bytes) -> None:
    found = DeadLetter.read(7, data, {"Clip-Job-Id": data[:40].decode("latin-1"), "Clip-Stage": data[:8].decode("latin-1")})
    assert len(found.problem) < BODY_LIMIT
    assert found.failed_at in {None, *type(found.failed_at)} if found.failed_at else found.job_id or True
    report_of(data)
    for kind in (ReplayRequest, DiscardRequest):
        with suppress(Failure):
            request_of(kind, data, next(iter(USAGE)))


def line(data: bytes) -> None:
    line_of(data.decode("utf-8", "replace"))


def subtitle_text(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    shown = plain(text)
    assert plain(shown) == shown
    clean(text)
    guarded(drawn(text))
    is_right_to_left([text], "he")
    all(map(is_seen, text[:100]))


HEADS = [
    b"CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\nProxy-Authorization: Basic eA==\r\n",
    b"GET http://example.org/a?b HTTP/1.1\r\nHost: example.org\r\nContent-Length: 3\r\nConnection: close, x-a\r\nX-A: 1\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Type: video/mp4\r\nTransfer-Encoding: chunked\r\nKeep-Alive: timeout=5\r\n",
]
SUBTITLES = [
    b"1\n00:00:01,000 --> 00:00:02,500\nHello\n<i>there</i>\n\n2\n00:00:03,000 --> 00:00:04,000\nBye\n",
    b"WEBVTT - a\n\nNOTE b\n\na\n00:01.000 --> 00:02.500 align:start\n<v Bob>Hello\n\n01:00:03.000 --> 01:00:04.000\nBye &amp; bye\n",
]
EDITED = [b'{"language":"en","cues":[{"start":1,"end":2.5,"lines":["Hello","there"]},{"start":3,"end":4,"text":"Bye"}]}']
BODIES = [
    b'{"sourceType":"upload","uploadKey":"uploads/a.mp4","start":"00:00:01.5","end":3,"withSubtitles":true,"metadata":{"a":"b"}}',
    b'{"sourceType":"youtube","youtubeUrl":"https://youtu.be/abc","segments":[{"start":1,"end":2}],"presets":["720p"],"priority":"bulk"}',
    b'sourceType=upload&start=1&end=2&metadata={"a":"b"}&presets=720p,gif&segments=[]',
    b"start=1&end=2&metadata=" + b"[" * 3000,
]
TIMES = [b"00:01:02.5", b"90:00", b"1h2m3.5s", b"12.25", b" 3 "]
LINES = [b'{"is":"progress","bytes":3}', b'{"is":"refused","code":"SOURCE_UNREADABLE","message":"a"}', b'{"is":"keyframes","times":[1.0]}']
TEXTS = [
    "a <b>b</b> & c\u202e\u200b {\\an8}\\N \u05d0\u05d1 \ud83d\ude00 e\u0301".encode("utf-8", "replace"),
    b"[MUSIC] (laughs) hello -- hello",
]


def events() -> list[bytes]:
    return [encode(envelope(requested())), encode(envelope(uploaded()))]


TARGETS = (
    Target(name="http_heads", run=head, allowed=(Failure,), seeds=lambda: HEADS),
    Target(name="subtitle_files", run=subtitles, allowed=(Refused,), seeds=lambda: SUBTITLES),
    Target(name="transcripts", run=edited, allowed=(Refused,), seeds=lambda: EDITED),
    Target(name="requests", run=body, allowed=(Refused,), seeds=lambda: BODIES),
    Target(name="timecode", run=time, allowed=(ValueError,), seeds=lambda: TIMES),
    Target(name="events", run=event, allowed=(DecodeError,), seeds=events),
    Target(name="dead_letters", run=letter, allowed=(), seeds=events),
    Target(name="child_lines", run=line, allowed=(ValueError,), seeds=lambda: LINES),
    Target(name="subtitle_text", run=subtitle_text, allowed=(), seeds=lambda: TEXTS),
)
