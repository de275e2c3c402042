"""What a check found, as a value: how it stands, what was seen, and what to do in one sentence. Pure."""

from collections.abc import Iterable
from typing import Literal

import msgspec

State = Literal["ok", "warning", "failed", "skipped"]


class Seen(msgspec.Struct, frozen=True):
    """`text` for people, without secrets; `advice` is empty where there is nothing to do."""

    state: State
    text: str
    advice: str = ""


class Finding(msgspec.Struct, frozen=True):
    """As JSON: `{"topic", "name", "state", "seen", "advice"}`."""

    topic: str
    name: str
    state: State
    seen: str
    advice: str = ""


def ok(text: str) -> Seen:
    return Seen("ok", text)


def warning(text: str, advice: str) -> Seen:
    return Seen("warning", text, advice)


def failed(text: str, advice: str) -> Seen:
    return Seen("failed", text, advice)


def skipped(text: str) -> Seen:
    return Seen("skipped", text)


def has_failed(findings: Iterable[Finding]) -> bool:
    return any(finding.state == "failed" for finding in findings)
