"""What the resolver makes of a fetching child that is no longer ours: it reads what hostile sites send."""

import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from libs.common.domain.failures import Code, Failure
from libs.common.runtime.egress import Guard, open_guard
from libs.common.runtime.settings import load
from services.resolver import children
from services.resolver.fetch.words import Found, Said
from services.resolver.settings import ResolverSettings
from services.resolver.visit import visit
from tests.resolver.visiting import NOWHERE, allowing

PORT = 9
URL = f"http://127.0.0.1:{PORT}/film"
SETTINGS = load(ResolverSettings, NOWHERE | allowing(PORT) | {"PROBE_TIMEOUT_SEC": "60", "CLIP_MAX_RUNTIME_SEC": "120"})
HASTY = load(ResolverSettings, NOWHERE | allowing(PORT) | {"PROBE_TIMEOUT_SEC": "2", "CLIP_MAX_RUNTIME_SEC": "4"})
FOUND = '{"is":"found","extractor":"x","is_section":true}'


@pytest.fixture
async def guard() -> AsyncIterator[Guard]:
    async with open_guard(SETTINGS.url_rules) as opened:
        yield opened


async def heard(script: str, guard: Guard, monkeypatch: pytest.MonkeyPatch, settings: ResolverSettings = SETTINGS) -> list[Said]:
    """What reaches the resolver of a child that runs this script."""
    lies = f"import os, sys, time\nsys.stdin.read()\n{script}"
    rears = f"from libs.common.runtime.nursery import rear\nrear(lambda: exec({lies!r}, {{}}))"
    monkeypatch.setattr(children, "COMMAND", (sys.executable, "-c", rears))
    said: list[Said] = []

    async def hear(line: Said) -> None:
        said.append(line)

    async with children.open_children(1 << 20) as opened:
        await visit(URL, 1.0, 2.0, Path("/nonexistent"), hear, guard=guard, children=opened, settings=settings)
    return said


async def refused(script: str, guard: Guard, monkeypatch: pytest.MonkeyPatch, settings: ResolverSettings = SETTINGS) -> Failure:
    with pytest.raises(Failure) as raised:
        await heard(script, guard, monkeypatch, settings)
    return raised.value


@pytest.mark.parametrize(
    "line",
    [
        '{"is":"refused","code":"https://a.example/?token=1","message":"x"}',
        '{"is":"refused","code":"RETRYABLE_ERROR","message":"x","retry_after":1e18}',
        '{"is":"refused","code":"RETRYABLE_ERROR","message":"x","retry_after":-1}',
        '{"is":"refused","code":"RETRYABLE_ERROR","message":"x","retry_after":NaN}',
        json.dumps({"is": "refused", "code": "NOT_FOUND", "message": "x" * 7000}),
        '{"is":"progress","share":0.1,"more":' + "[" * 3900 + "]" * 3900 + "}",
        '{"is":"found","extractor":"x","is_section":true,"size":' + "9" * 7000 + "}",
        '{"is":"fetched","path":"/etc/passwd","container":"mov","begins":1e400}',
        "\0",
        "",
    ],
)
async def test_a_line_that_is_none_ends_the_visit(guard: Guard, monkeypatch: pytest.MonkeyPatch, line: str):
    failure = await refused(f"print({line!r})", guard, monkeypatch)
    assert (failure.code, "token" in str(failure), failure.__cause__) == (Code.INTERNAL, False, None)


@pytest.mark.parametrize("line", [FOUND, '{"is":"format","id":"x"}', '{"is":"progress","share":0.5}'])
async def test_lines_without_an_end_are_not_kept(guard: Guard, monkeypatch: pytest.MonkeyPatch, line: str):
    failure = await refused(f"while True: print({line!r})", guard, monkeypatch)
    assert (failure.code, failure.message) == (Code.INTERNAL, "the fetching child said too much")


async def test_a_child_that_falls_silent_is_ended(guard: Guard, monkeypatch: pytest.MonkeyPatch):
    for said in ("", f"print({FOUND!r}, flush=True)\n"):
        assert (await refused(f"{said}os.close(1)\ntime.sleep(60)", guard, monkeypatch, HASTY)).code is Code.RETRYABLE_ERROR


async def test_what_a_child_says_is_heard(guard: Guard, monkeypatch: pytest.MonkeyPatch):
    assert await heard(f"print({FOUND!r})", guard, monkeypatch) == [Found(extractor="x", is_section=True)]
