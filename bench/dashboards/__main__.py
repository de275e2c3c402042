"""`python -m bench.dashboards` records a run of the whole stack and draws each dashboard from it into out/dashboards.

`--redraw` draws the last recording anew; `--publish` puts the top of each into docs/ too, small.
"""

import argparse
import asyncio
import json
import os
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from bench.dashboards.drawing import draw
from bench.dashboards.load import ports, put_on, receiver
from bench.dashboards.prometheus import answers, recording
from libs.common.runtime.embedded_home import PortClaims
from tests.chaos.provider import provider
from tests.resolver.visiting import allowing
from tests.sites.site import open_site
from tests.whole_stack import OPEN, running
from tools.local_stack import Plan
from tools.monitoring.__main__ import FOLDER
from tools.setup import ROOT

OUT = ROOT / "out" / "dashboards"
ANSWERS = OUT / "answers.json"
SETTLING_SECONDS = 8.0
"""After the last job: what is under way ends, and the last scrape sees it."""

PUBLISHED_ROWS, PUBLISHED_DPI = 31, 70


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.dashboards", description=__doc__)
    parser.add_argument("--seconds", type=float, default=150, help="how long the load lasts")
    parser.add_argument("--redraw", action="store_true", help="draw the last recording anew")
    parser.add_argument("--publish", action="store_true", help="draw the top of each into docs/ too")
    options = parser.parse_args()
    boards: dict[str, Any] = {file.stem: json.loads(file.read_text()) for file in sorted(FOLDER.glob("*.json"))}
    if not options.redraw:
        with tempfile.TemporaryDirectory(prefix="clipstream-dashboards-") as home:
            found = asyncio.run(record(Path(home), boards, options.seconds))
        OUT.mkdir(parents=True, exist_ok=True)
        ANSWERS.write_text(json.dumps(found))
    told = json.loads(ANSWERS.read_text())
    for name, board in boards.items():
        draw(board, told[name], OUT / f"{name}.png")
        if options.publish:
            draw(top(board), told[name], ROOT / "docs" / f"dashboard-{name}.png", dpi=PUBLISHED_DPI)
        print(f"{OUT / name}.png: {len(silent(board, told[name]))} panels without data: {', '.join(silent(board, told[name])) or 'none'}")


async def record(home: Path, boards: dict[str, Any], seconds: float) -> dict[str, dict[str, list[Any]]]:
    """The whole stack under load; what Prometheus answers to each panel of each board."""
    async with AsyncExitStack() as stack:
        claims = PortClaims()
        stack.callback(claims.close)
        films = home / "films"
        films.mkdir()
        site = await stack.enter_async_context(open_site(films))
        speech = await stack.enter_async_context(provider(claims.claim_any()))
        hook = claims.claim_any()
        callback = await stack.enter_async_context(receiver(hook))
        asr = {"ASR_PROVIDER": "groq", "GROQ_API_KEY": "recorded", "ASR_BASE_URL": speech.url}
        paced = {"QUEUE_METRICS_EVERY_SEC": "2", "RETENTION_EVERY_SEC": "20"}
        (home / "stack").mkdir()
        plan = Plan(home / "stack", {**os.environ, **OPEN, **asr, **paced, **allowing(site.port, hook)})
        system = await stack.enter_async_context(running(plan))
        prometheus = await stack.enter_async_context(recording(home / "prometheus", claims.claim_any(), ports(system)))
        began = time.time()
        print(f"recording for {seconds:g} s")
        await put_on(system, site, speech, callback, seconds)
        await asyncio.sleep(SETTLING_SECONDS)
        return {name: await answers(prometheus, board, began, time.time()) for name, board in boards.items()}


def top(board: dict[str, Any]) -> dict[str, Any]:
    """The rows that a first look is for."""
    return board | {"panels": [panel for panel in board["panels"] if panel["gridPos"]["y"] + panel["gridPos"]["h"] <= PUBLISHED_ROWS]}


def silent(board: dict[str, Any], told: dict[str, list[Any]]) -> list[str]:
    return [panel["title"] for panel in board["panels"] if panel["type"] != "row" and not told[str(panel["id"])]]


if __name__ == "__main__":
    main()
