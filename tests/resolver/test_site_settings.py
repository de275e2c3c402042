"""The operator's settings for visits: cookies, a proxy on the way, a JavaScript runtime, a rate."""

import asyncio
import sys
import time
from pathlib import Path

import pytest

from libs.common.domain.failures import Code
from libs.common.runtime.egress_proxy import Allowance, egress_proxy
from libs.common.runtime.process import Limits, run
from libs.common.runtime.settings import SettingsError, load
from libs.common.runtime.warm_process import ROOT
from services.resolver.children import MEMORY_BYTES, open_children
from services.resolver.settings import ResolverSettings
from tests.resolver.visiting import NOWHERE, Visitor
from tests.sites.files import COOKIE
from tests.sites.packagings import packaged
from tests.whole_stack import children

RUNTIME = """
from libs.common.runtime.confinement import confine_to
confine_to({1})
import subprocess
from yt_dlp import YoutubeDL
runtime = YoutubeDL({"quiet": True, "js_runtimes": {"deno": {}}})._js_runtimes["deno"].info
assert runtime.supported, runtime
print(subprocess.check_output([runtime.path, "run", "--no-prompt", "--no-remote", "-"], input=b"console.log(6 * 7)", text=False).decode())
"""


async def test_an_accounts_cookies_go_to_its_site(visitor: Visitor, short: Path, tmp_path: Path):
    url = visitor.site.file(packaged(short, "faststart"), how="cookies")
    assert (await visitor.refusal(url)).code is Code.SOURCE_FORBIDDEN
    cookies = tmp_path / "cookies.txt"
    line = "\t".join((visitor.site.host, "FALSE", "/", "FALSE", "0", *COOKIE))
    cookies.write_text(f"# Netscape HTTP Cookie File\n{line}\n")
    cookies.chmod(0o400)
    await visitor.fetch(url, YTDLP_COOKIES_FILE=str(cookies))
    assert cookies.read_text().endswith(f"{line}\n")


async def test_an_operators_proxy_is_asked_on_the_way(visitor: Visitor, short: Path):
    async with egress_proxy(visitor.guard, Allowance(max_bytes=1 << 30)) as operators:
        await visitor.fetch(visitor.site.file(packaged(short, "hls-ts")), YTDLP_PROXY=operators.url)
        assert operators.received >= visitor.site.sent > 0


async def test_a_proxy_that_is_away_is_told_as_such(visitor: Visitor, short: Path):
    refused = await visitor.refusal(visitor.site.file(packaged(short, "hls-ts")), YTDLP_PROXY="http://user:hunter2@127.0.0.1:1")
    assert refused.code is Code.RETRYABLE_ERROR
    assert "hunter2" not in str(refused)
    assert visitor.site.connections == 0


async def test_a_rate_is_kept(visitor: Visitor, short: Path):
    began = time.monotonic()
    await visitor.fetch(visitor.site.file(packaged(short, "faststart"), how="whole"), YTDLP_RATE_LIMIT_KBPS="500")
    assert time.monotonic() - began > visitor.site.sent / 500_000 - 1.2  # what a bucket and the sockets hold goes at once


async def test_the_javascript_runtime_runs_where_the_child_is_confined():
    ended = await run([sys.executable, "-c", RUNTIME], limits=Limits(wall=60, data=MEMORY_BYTES), cwd=ROOT)
    assert (ended.code, ended.stdout.strip()) == (0, b"42"), ended.stderr


@pytest.mark.parametrize(
    ("variables", "problem"),
    [
        ({"YTDLP_COOKIES_FILE": "/no/such/file"}, "YTDLP_COOKIES_FILE"),
        ({"YTDLP_PROXY": "socks5://user:hunter2@127.0.0.1:1"}, "YTDLP_PROXY"),
        ({"ALLOWLIST_NETWORKS": "10.0.0.0/99"}, "ALLOWLIST_NETWORKS"),
        ({"ALLOWLIST_PORTS": "http"}, "ALLOWLIST_PORTS"),
    ],
)
def test_settings_that_can_not_be_are_named_at_the_start(variables: dict[str, str], problem: str):
    with pytest.raises(SettingsError, match=problem) as refused:
        load(ResolverSettings, NOWHERE | variables)
    assert "hunter2" not in str(refused.value)


async def test_a_visit_that_is_given_up_leaves_no_process(visitor: Visitor, short: Path):
    url = visitor.site.file(packaged(short, "faststart"), how="faults/stall", after=1000)
    async with open_children(1 << 30) as visitor.children:
        visiting = asyncio.create_task(visitor.visit(url, SOURCE_STALL_SEC="60"))
        async with asyncio.timeout(90):
            while not visitor.site.requests:
                await asyncio.sleep(0.01)
        assert visitor.children._running
        keepers = children(visitor.children._running[0].pid)
        [busy] = [pid for keeper in keepers for pid in children(keeper)]
        visiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await visiting
        assert not Path(f"/proc/{busy}").exists()
