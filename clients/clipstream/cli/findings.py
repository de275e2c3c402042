"""What `doctor` finds, and the running of its looks: in turn, each under a time limit, all of them whatever the others find."""

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any, Literal

import msgspec

from clipstream.errors import ClipstreamError

State = Literal["ok", "warning", "failed", "skipped"]
LONGEST = 20.0
"""Seconds of one look."""
AGAIN = "Try again in a moment; if it stays so, tell whoever runs the server."


class Finding(msgspec.Struct, frozen=True):
    """`seen` is for people, and may be a server's words; `advice` says what to do, or is empty."""

    topic: str
    name: str
    state: State
    seen: str
    advice: str = ""


class Seen(msgspec.Struct, frozen=True):
    state: State
    text: str
    advice: str = ""


def ok(text: str) -> Seen:
    return Seen("ok", text)


def warning(text: str, advice: str) -> Seen:
    return Seen("warning", text, advice)


def failed(text: str, advice: str) -> Seen:
    return Seen("failed", text, advice)


def skipped(text: str) -> Seen:
    return Seen("skipped", text)


@dataclass(frozen=True, slots=True)
class Look:
    """`needs` names an earlier look, without which this one can tell nothing."""

    name: str
    work: Callable[[], Seen]
    needs: str | None = None


def examined(topic: str, looks: Sequence[Look], *, longest: float = LONGEST) -> Iterator[Finding]:
    unknown: set[str] = set()
    for look in looks:
        seen = skipped(f"nothing can be told before “{look.needs}” is right") if look.needs in unknown else _within(longest, look.work)
        if seen.state in {"failed", "skipped"}:
            unknown.add(look.name)
        yield Finding(topic, look.name, seen.state, seen.text, seen.advice)


def _within(seconds: float, work: Callable[[], Seen]) -> Seen:
    """In a thread that nobody waits for any longer: asking for a name may hang far beyond all limits of a socket."""
    answers: SimpleQueue[Seen] = SimpleQueue()
    threading.Thread(target=lambda: answers.put(_caught(work)), daemon=True).start()
    try:
        return answers.get(timeout=seconds)
    except Empty:
        return failed(f"no answer within {seconds:g} s", AGAIN)


def _caught(work: Callable[[], Seen]) -> Seen:
    """What broke a look is not shown: it may hold a secret."""
    try:
        return work()
    except ClipstreamError as error:
        return failed(error.message, error.hint or AGAIN)
    except Exception as error:  # noqa: BLE001  one look must not cost the others
        return failed(f"the look itself broke: {type(error).__name__}", "This is the doctor's own mistake: please tell its makers.")


def counts(findings: Sequence[Finding]) -> dict[str, Any]:
    return {state: sum(finding.state == state for finding in findings) for state in ("ok", "warning", "failed", "skipped")}
