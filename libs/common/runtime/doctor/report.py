"""Findings as people read them in a terminal or a log, and as one JSON document. Pure."""

import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby

import msgspec

from libs.common.runtime.doctor.findings import Finding, State

MARKS: dict[State, str] = {"ok": "ok", "warning": "WARN", "failed": "FAIL", "skipped": "skip"}
NAMES = 20
"""Columns of a name; a longer one pushes what follows."""


def as_json(findings: Sequence[Finding]) -> str:
    return msgspec.json.encode({"findings": findings, "counts": counts(findings)}).decode()


def as_text(findings: Sequence[Finding], *, width: int, quiet: bool = False) -> str:
    """By topic; `quiet`: only warnings and what has failed."""
    shown = [finding for finding in findings if not quiet or finding.state in {"warning", "failed"}]
    blocks = ["\n".join(_block(topic, list(group), width)) for topic, group in groupby(shown, key=lambda finding: finding.topic)]
    return "\n\n".join([*blocks, summary(findings)])


def _block(topic: str, findings: Sequence[Finding], width: int) -> Iterator[str]:
    yield topic
    for finding in findings:
        head = f"  {MARKS[finding.state]:<4}  {finding.name:<{NAMES}} "
        yield _wrapped(finding.seen, width, head, " " * (9 + NAMES))
        if finding.advice:
            yield _wrapped(finding.advice, width, " " * 8 + "→ ", " " * 10)


def _wrapped(text: str, width: int, first: str, rest: str) -> str:
    return textwrap.fill(text, width, initial_indent=first, subsequent_indent=rest, break_long_words=False, break_on_hyphens=False)


def counts(findings: Sequence[Finding]) -> dict[State, int]:
    found = Counter(finding.state for finding in findings)
    return {state: found[state] for state in MARKS}


def summary(findings: Sequence[Finding]) -> str:
    found = counts(findings)
    verdict = "something is wrong" if found["failed"] else "good, with warnings" if found["warning"] else "all is well"
    return f"{verdict}: ok {found['ok']}, warnings {found['warning']}, failed {found['failed']}, skipped {found['skipped']}"
