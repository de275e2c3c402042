"""A browser, the stack whose storage lets pages in, and visits that end with nothing to complain of: no error, no foreign address."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from aiohttp import web
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page, Request, async_playwright, expect

from tests.api.conftest import Running, api, environ
from tools.sample import recording

__all__ = ["api", "environ"]
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
WATCH = "document.addEventListener('securitypolicyviolation', (e) => console.error('CSP: ' + e.violatedDirective + ' ' + e.blockedURI))"
CLOSED = ("Access to XMLHttpRequest at", "Failed to load resource: net::ERR_FAILED")
"""What a browser says of a storage without CORS rules."""
WAIT = "() => new Promise((done) => { const look = () => (%s) ? done() : setTimeout(look, 20); look() })"
WIDE = {"width": 1280, "height": 800}


def chromium() -> str:
    """The browser's program; a root user's Debian gets it. Raises RuntimeError where there is none to be had."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None and os.geteuid() == 0 and shutil.which("apt-get"):
        for words in (["update"], ["install", "-y", "--no-install-recommends", "chromium"]):  # an update that fails may do no harm
            subprocess.run(["apt-get", "-qq", "-o", "DPkg::Lock::Timeout=300", *words], check=False, timeout=500)
        found = shutil.which("chromium")
    if found is None:
        raise RuntimeError("the tests of the web page need Chromium: install it, so that `chromium` or `google-chrome` is on PATH")
    return found


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        yield browser
        await browser.close()


@pytest.fixture
async def closed_storage() -> AsyncIterator[str]:
    """The address of a storage that has no CORS rules."""

    async def refuse(_: web.Request) -> web.Response:
        return web.Response(status=403)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", refuse)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


@pytest.fixture(scope="session")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve seconds at 25 pictures a second, each picture another; cut in no time."""
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    source = (
        "-f lavfi -i testsrc2=size=320x192:rate=25:duration=12 -f lavfi -i sine=duration=12 -c:v libx264 -bf 0 -g 25 -c:a aac -shortest"
    )
    subprocess.run(["ffmpeg", "-v", "error", *source.split(), "-pix_fmt", "yuv420p", str(path)], check=True)
    return path


@pytest.fixture(scope="session")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A person reading for 26 s: "we had everything before us …" from 20.3 s on."""
    path = tmp_path_factory.mktemp("spoken") / "spoken.mp4"
    source = ["-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25", "-i", str(recording()), "-t", "26"]
    subprocess.run(["ffmpeg", "-v", "error", *source, "-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac", str(path)], check=True)
    return path


@dataclass
class Visit:
    """A page, and what is held against it when the visit ends. `expected`: beginnings of complaints that the test means to cause."""

    page: Page
    url: str
    allowed: set[str]
    expected: tuple[str, ...] = ()
    complaints: list[str] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)

    async def choose(self, path: Path) -> None:
        await self.page.locator("#file").set_input_files(path)
        await expect(self.page.locator("#work")).to_be_visible()

    async def mark(self, start: str, end: str) -> None:
        await self.page.get_by_label("Start", exact=True).fill(start)
        await self.page.get_by_label("End", exact=True).fill(end)

    async def make(self) -> None:
        await self.page.get_by_role("button", name="Make the clip").click()

    async def until_done(self, seconds: float = 60) -> None:
        await expect(self.page.locator("#job-chip")).to_have_text("Done", timeout=seconds * 1000)
        await expect(self.page.locator("#result")).to_be_visible()

    async def until(self, condition: str, seconds: float = 15) -> None:
        """Returns when this holds in the page. Playwright's own waiting evaluates text there, which the policy forbids."""
        async with asyncio.timeout(seconds):
            await self.page.evaluate(WAIT % condition)

    async def plays(self) -> None:
        """The result."""
        await self.page.evaluate("document.querySelector('#result video').play()")
        await self.until("document.querySelector('#result video').currentTime > 0.3")

    async def is_accessible(self) -> None:
        """Axe, with every rule that it has, at every impact."""
        found = await Axe().run(self.page)
        assert [f"{one['id']}: {[node['html'] for node in one['nodes']]}" for one in found.response["violations"]] == []

    def sent(self, path: str, method: str = "POST") -> list[Request]:
        return [request for request in self.requests if urlsplit(request.url).path == path and request.method == method]

    def judge(self) -> None:
        unexpected = [said for said in self.complaints if not said.startswith(self.expected or ("nothing",))]
        assert unexpected == []
        asked = [urlsplit(request.url) for request in self.requests if request.url.startswith("http")]
        assert {f"{parts.scheme}://{parts.netloc}" for parts in asked} <= self.allowed


@asynccontextmanager
async def visiting(browser: Browser, url: str, *storage: str, expected: tuple[str, ...] = (), **how: Any) -> AsyncIterator[Visit]:
    """The page at `url`; `storage` are the other addresses that it may ask. Judged when the test is through with it."""
    context = await browser.new_context(**{"viewport": WIDE, **how})
    page = await context.new_page()
    visit = Visit(page, url, {url, *storage}, expected)
    await page.add_init_script(WATCH)
    page.on("console", lambda said: visit.complaints.append(said.text) if said.type in {"error", "warning"} else None)
    page.on("pageerror", lambda error: visit.complaints.append(f"thrown: {error}"))
    page.on("dialog", lambda dialog: visit.complaints.append(f"dialog: {dialog.message}"))
    page.on("request", lambda request: visit.requests.append(request))  # noqa: PLW0108  Playwright sets attributes on a listener
    await page.goto(f"{url}/")
    yield visit
    await context.close()
    visit.judge()


def storage_of(environ: dict[str, str] | Any) -> str:
    return str(environ["S3_ENDPOINT_URL"])


def address(running: Running) -> str:
    return str(running.http.base_url).rstrip("/")
