"""A file on its way to the server's storage: in parts, each sent again where it breaks, and gone on with by the next process."""

import mimetypes
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
from msgspec.structs import replace

from clipstream import upload_states
from clipstream.errors import BadRequest, ClipstreamError, Conflict, Forbidden, Gone, NotFound, Unavailable
from clipstream.models import Model, Upload
from clipstream.server import Server, identifier, is_success, whole
from clipstream.upload_states import FileMark
from clipstream.wire import Request

Progress = Callable[[int, int], None]
"""Told the bytes that are there, and how many there are to be."""
CHUNK = 256 * 1024
ASSEMBLY = 300.0
"""Seconds that a storage may take to make one file of the parts."""


class Part(Model, frozen=True, kw_only=True):
    number: int
    size: int
    url: str | None = None
    headers: dict[str, str] = msgspec.field(default_factory=dict)


class State(Model, frozen=True, kw_only=True):
    """`parts` are those that are missing. A ticket is the first state of its upload, and does not say the size."""

    upload_key: str
    upload_id: str
    part_size: int
    state: str = "uploading"
    size: int = 0
    parts: tuple[Part, ...] = ()

    @property
    def is_complete(self) -> bool:
        return self.state == "complete"


@dataclass(frozen=True, slots=True)
class Sending:
    """One file, as it was when its upload began."""

    server: Server
    path: Path
    mark: FileMark
    progress: Progress | None = None


async def upload(server: Server, path: Path, content_type: str | None, progress: Progress | None, *, resume: bool) -> Upload:
    """Raises ClipstreamError, and OSError for a file that can't be read."""
    sending = Sending(server, path, await server.wire.aside(lambda: upload_states.mark(path)), progress)
    if not sending.mark.size:
        raise BadRequest("VALIDATION_FAILED", "the file is empty", hint="Choose a video.", field="path")
    state = await _gone_on(sending) if resume else None
    state = state or await _begun(sending, content_type or mimetypes.guess_type(path.name)[0] or "application/octet-stream")
    while not state.is_complete:
        state = await _sent(sending, state)
        _check_unchanged(sending)
        state = await _completed(sending, state)
    _told(sending, state.size)
    return Upload(key=state.upload_key, id=state.upload_id, size=state.size)


async def _gone_on(sending: Sending) -> State | None:
    """Where an earlier process left off, if one did and the server still has it."""
    known = await sending.server.wire.aside(lambda: upload_states.remembered(sending.server.address.url, sending.mark))
    if known is None:
        return None
    try:
        state = await _state(sending.server, known)
    except (NotFound, Gone):
        return None
    return state if state.size == sending.mark.size else None


async def _begun(sending: Sending, content_type: str) -> State:
    name = sending.path.name.encode(errors="replace").decode()
    wish = {"size": sending.mark.size, "filename": name, "contentType": content_type, "parts": True}
    ticket = await sending.server.call("POST", "/api/uploads", State, body=wish)
    upload_id = identifier(ticket.upload_id, "upload")
    await sending.server.wire.aside(lambda: upload_states.remember(sending.server.address.url, sending.mark, upload_id))
    return replace(ticket, size=sending.mark.size)


async def _state(server: Server, upload_id: str) -> State:
    return await server.get(f"/api/uploads/{identifier(upload_id, 'upload')}", State)


async def _sent(sending: Sending, state: State) -> State:
    """All parts are there after this. Fresh URLs come with every look; only rounds that moved nothing are counted against it."""
    idle = -1
    while state.parts:
        missing, failure = len(state.parts), await _round(sending, state)
        state = await _state(sending.server, state.upload_id)
        idle = -1 if len(state.parts) < missing else idle + 1
        if state.parts:
            await _paused(sending.server, failure or _refused(200), max(idle, 0))
    return state


async def _paused(server: Server, failure: ClipstreamError, attempt: int) -> None:
    pause = server.pacing.pause(failure, attempt)
    if pause is None:
        raise failure
    await server.wire.pause(pause)


async def _round(sending: Sending, state: State) -> Unavailable | None:
    """Sends what is missing, part by part, up to the first that does not get there: why it did not."""
    there = state.size - sum(part.size for part in state.parts)
    for part in state.parts:
        _check_unchanged(sending)
        try:
            await _put(sending, part, (part.number - 1) * state.part_size, there)
        except Unavailable as failure:
            return failure
        there += part.size
    return None


async def _put(sending: Sending, part: Part, start: int, there: int) -> None:
    """The storage gets the part and what the ticket says, and nothing of ours: no key."""
    if not part.url:
        raise Forbidden("FORBIDDEN", "this key may look at uploads, but not send any", hint="Use a key with the scope jobs:write.")
    content = _piece(sending.path, start, part.size)
    headers = {name.lower(): value for name, value in part.headers.items()} | {"content-length": str(part.size)}
    request = Request("PUT", part.url, headers, content, sent=lambda sent: _told(sending, there + sent))
    async with sending.server.wire.open(request) as answer:
        await whole(answer)
    if not is_success(answer.status):
        raise _refused(answer.status)


def _refused(status: int) -> Unavailable:
    """By the storage: an expired URL, an upload that another process has just completed, an outage. A fresh look tells."""
    message = f"the file store did not take a part of the file (it answered {status})"
    return Unavailable(
        "STORAGE_UNAVAILABLE", message, hint="Run the same again: it goes on where it stopped.", retryable=True, status=status
    )


async def _completed(sending: Sending, state: State) -> State:
    """Raises Conflict only where nothing is missing and it still can't be completed."""
    path = f"/api/uploads/{state.upload_id}/complete"
    try:
        return await sending.server.call("POST", path, State, patience=ASSEMBLY)
    except Conflict:
        again = await _state(sending.server, state.upload_id)
        if again.parts or again.is_complete:
            return again
        raise


def _piece(path: Path, start: int, size: int) -> Iterator[bytes]:
    """`size` bytes from `start` on, read as they are sent."""
    with path.open("rb") as file:
        file.seek(start)
        for at in range(0, size, CHUNK):
            data = file.read(min(CHUNK, size - at))
            if not data:
                raise _changed()
            yield data


def _told(sending: Sending, there: int) -> None:
    if sending.progress:
        sending.progress(there, sending.mark.size)


def _check_unchanged(sending: Sending) -> None:
    if upload_states.mark(sending.path) != sending.mark:
        raise _changed()


def _changed() -> Conflict:
    return Conflict("FILE_CHANGED", "the file changed while it was being sent", hint="Send it again when nothing writes to it any more.")
