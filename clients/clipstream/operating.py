"""The operator's calls, over keys and dead letters. They need a key with the scope admin."""

from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import contextmanager
from typing import Any, Literal
from uuid import UUID

from clipstream.errors import NotFound
from clipstream.job_options import camel
from clipstream.models import Model
from clipstream.operator_models import DeadLetter, Discarded, Key, NewKey, NotReplayed, OpenedLetter, Overview, Replayed, Replays
from clipstream.server import Server, identifier

KEYS, LETTERS = "/api/admin/keys", "/api/admin/dlq"
PAGE = 100
Scope = Literal["jobs:read", "jobs:write", "admin"]


class _KeyPage(Model, frozen=True, kw_only=True):
    keys: tuple[Key, ...]
    next_cursor: str | None = None


class _KeyAnswer(Model, frozen=True, kw_only=True):
    key: Key


class _LetterPage(Model, frozen=True, kw_only=True):
    letters: tuple[DeadLetter, ...]
    next_cursor: int | None = None


class _ReplayPage(Model, frozen=True, kw_only=True):
    replayed: tuple[Replayed, ...] = ()
    refused: tuple[NotReplayed, ...] = ()
    next: dict[str, Any] | None = None


class _DiscardAnswer(Model, frozen=True, kw_only=True):
    discarded: Discarded


async def overview(server: Server) -> Overview:
    with _switched_on():
        return await server.get("/api/admin/overview", Overview)


async def keys(server: Server) -> list[Key]:
    found: list[Key] = []
    cursor = None
    while True:
        with _switched_on():
            page = await server.get(KEYS, _KeyPage, limit=PAGE, cursor=cursor)
        found += page.keys
        if (cursor := page.next_cursor) is None:
            return found


async def make_key(server: Server, name: str, scopes: Sequence[Scope], **limits: Any) -> NewKey:
    """Never sent twice on its own: a key whose answer was lost would be nobody's."""
    body = {"name": name, "scopes": list(scopes), **_given(limits)}
    with _switched_on():
        return await server.call("POST", KEYS, NewKey, body=body, repeatable=False)


async def revoke_key(server: Server, key_id: str) -> Key:
    answer = await server.call("DELETE", f"{KEYS}/{identifier(key_id, 'key')}", _KeyAnswer)
    return answer.key


async def rotate_key(server: Server, key_id: str, **wishes: Any) -> NewKey:
    return await server.call("POST", f"{KEYS}/{identifier(key_id, 'key')}/rotate", NewKey, body=_given(wishes), repeatable=False)


async def letters(server: Server, stage: str | None, job_id: str | UUID | None) -> AsyncGenerator[DeadLetter, None]:
    cursor = None
    while True:
        with _switched_on():
            page = await server.get(LETTERS, _LetterPage, limit=PAGE, cursor=cursor, stage=stage, jobId=job_id)
        for letter in page.letters:
            yield letter
        if (cursor := page.next_cursor) is None:
            return


async def letter(server: Server, seq: int) -> OpenedLetter:
    return await server.get(f"{LETTERS}/{int(seq)}", OpenedLetter)


async def replay(server: Server, wish: dict[str, Any]) -> Replays:
    """All that are meant, over as many requests as that takes. One that was named and can't run again raises; of many it is told."""
    chosen = _chosen(wish)
    if "seq" in chosen:
        return await server.call("POST", f"{LETTERS}/{int(chosen['seq'])}/replay", Replays)
    replayed: list[Replayed] = []
    refused: list[NotReplayed] = []
    following: dict[str, Any] | None = chosen
    while following is not None:
        page = await server.call("POST", f"{LETTERS}/replay", _ReplayPage, body=following)
        replayed += page.replayed
        refused += page.refused
        following = page.next
    return Replays(replayed=tuple(replayed), refused=tuple(refused))


async def discard(server: Server, seq: int) -> Discarded:
    answer = await server.call("DELETE", f"{LETTERS}/{int(seq)}", _DiscardAnswer)
    return answer.discarded


@contextmanager
def _switched_on() -> Generator[None, None, None]:
    """Around calls that any server with an operator's API answers."""
    try:
        yield
    except NotFound as error:
        message, hint = "this server has no API for operators", "It must run with ADMIN_ENABLED=true."
        raise NotFound(error.code, message, hint=hint, status=error.status, correlation_id=error.correlation_id) from error


def _chosen(wish: dict[str, Any]) -> dict[str, Any]:
    """Raises TypeError unless it is just one of seq, job_id, stage and all."""
    given = {name: value for name, value in _given(wish).items() if value is not False}
    if len(given) != 1:
        raise TypeError("say just one of seq, job_id, stage and all")
    return given


def _given(fields: dict[str, Any]) -> dict[str, Any]:
    return {camel(name): value for name, value in fields.items() if value is not None}
