"""A file on its way: broken off and gone on with, left alone, and on a browser that keeps nothing."""

import asyncio
import json
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.async_api import Browser, Route, expect

from tests.api.conftest import Running
from tests.web.conftest import Visit, address, visiting

PARTS = "**/*partNumber=*"
BROKEN = ("Failed to load resource: net::ERR_CONNECTION_RESET",)
BLOCKED = """for (const name of ["localStorage", "sessionStorage"])
  Object.defineProperty(window, name, { get() { throw new DOMException("blocked", "SecurityError") } })"""
Answer = Callable[[str, Route], Awaitable[None]]


@pytest.fixture
def large(film: Path, tmp_path: Path) -> Path:
    """The film with a box of nothing behind it: two parts."""
    path, nothing = tmp_path / "large.mp4", 8_400_000
    path.write_bytes(film.read_bytes() + struct.pack(">I4s", nothing, b"free") + bytes(nothing - 8))
    return path


async def in_parts(visit: Visit, answer: Answer) -> list[str]:
    """Uploads go in parts, however small; `answer` has a say in each, by its number. Returns the numbers, as they are sent."""
    numbers: list[str] = []

    async def begin(route: Route) -> None:
        await route.continue_(post_data=json.dumps({**(route.request.post_data_json or {}), "parts": True}))

    async def part(route: Route) -> None:
        if route.request.method != "PUT":
            return await route.continue_()
        [number] = parse_qs(urlsplit(route.request.url).query)["partNumber"]
        numbers.append(number)
        return await answer(number, route)

    await visit.page.route("**/api/uploads", begin)
    await visit.page.route(PARTS, part)
    return numbers


async def test_an_upload_that_broke_off_goes_on_with_what_is_missing(browser: Browser, api: Running, large: Path) -> None:
    down = True

    async def answer(number: str, route: Route) -> None:
        await (route.abort("connectionreset") if down and number == "2" else route.continue_())

    async with visiting(browser, address(api), api.environ["S3_ENDPOINT_URL"], expected=BROKEN) as visit:
        page = visit.page
        sent = await in_parts(visit, answer)
        await visit.choose(large)
        await visit.mark("1", "3")
        await page.clock.install()
        await visit.make()
        async with asyncio.timeout(60):
            while await page.locator("#submit-error").is_hidden():
                await page.clock.run_for(1000)
        await expect(page.locator("#submit-error")).to_contain_text("What was sent is kept.")
        assert sent.count("2") == 4
        down = False
        before = len(sent)
        await visit.make()
        await page.clock.run_for(100)
        await expect(page.locator("#job-chip")).to_have_text("Waiting")
        assert "1" not in sent[before:]
        assert [len(visit.sent(path)) for path in ("/api/uploads", "/api/jobs/upload", "/api/jobs")] == [1, 0, 1]


async def test_who_leaves_an_upload_is_led_back_to_it_and_not_taken_away_from_elsewhere(browser: Browser, api: Running, film: Path) -> None:
    held: list[Route] = []

    async def answer(_: str, route: Route) -> None:
        held.append(route)

    async with visiting(browser, address(api), api.environ["S3_ENDPOINT_URL"]) as visit:
        page = visit.page
        await in_parts(visit, answer)
        await visit.choose(film)
        await visit.mark("1", "3")
        async with page.expect_request(lambda request: request.method == "PUT"):
            await visit.make()
        await page.get_by_role("link", name="Recent clips").click()
        await page.get_by_role("link", name="Go back to it").click()
        await expect(page.locator("#percent-words")).to_have_text("Uploading")
        await page.get_by_role("link", name="Recent clips").click()
        await visit.is_accessible()
        async with page.expect_response("**/api/jobs"):
            await held[0].continue_()
        await expect(page.locator("#under-way")).to_be_hidden()
        await expect(page.locator("#recent-list a").first).to_contain_text("0:01 to 0:03")
        assert page.url.endswith("#recent")


async def test_a_browser_that_keeps_nothing_makes_clips_too(browser: Browser, api: Running, film: Path) -> None:
    async with visiting(browser, address(api), api.environ["S3_ENDPOINT_URL"]) as visit:
        await visit.page.add_init_script(BLOCKED)
        await visit.page.reload()
        await visit.choose(film)
        await visit.mark("1", "3")
        await visit.make()
        await expect(visit.page.locator("#job-chip")).to_have_text("Waiting")


async def test_a_double_click_is_one_job(browser: Browser, api: Running, film: Path) -> None:
    async with visiting(browser, address(api), api.environ["S3_ENDPOINT_URL"]) as visit:
        await visit.choose(film)
        await visit.mark("1", "3")
        await visit.page.evaluate("(form => { form.requestSubmit(); form.requestSubmit() })(document.getElementById('options'))")
        await expect(visit.page.locator("#job-chip")).to_have_text("Waiting")
        assert [len(visit.sent(path)) for path in ("/api/uploads", "/api/jobs")] == [1, 1]
