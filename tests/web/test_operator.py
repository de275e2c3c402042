"""The operator's page in a browser, on the whole stack: dead letters are made by jobs that really fail."""

import json
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from playwright.async_api import Browser, Page, Request, ViewportSize, expect

from libs.common.domain.failures import HINTS, Code
from libs.common.runtime.postgres import open_pool
from libs.common.runtime.settings import Secret
from services.api.caller import Scope
from services.api.key_store import KeyStore, KeyWish
from services.api.keys import Pepper
from tests.web.conftest import WIDE, Visit
from tests.web.operating import HOSTILE, emptied, enter, fail, listed, message_server, replayed_by, visit
from tests.whole_stack import System
from tools.setup import ROOT

LOOKS: tuple[tuple[ViewportSize, Literal["light", "dark"]], ...] = (
    (WIDE, "light"),
    (WIDE, "dark"),
    ({"width": 360, "height": 740}, "light"),
)


@pytest.fixture(scope="module")
async def keys(system: System) -> dict[Scope, str]:
    async with open_pool(system.stack.environ["DATABASE_URL"], connections=1) as pool:
        store = KeyStore(pool, Pepper(Secret(system.stack.environ["API_SECRET"])))
        return {scope: (await store.create(KeyWish(name="ops", scopes=frozenset({scope}))))[0].written.reveal() for scope in Scope}


@pytest.fixture(scope="module", autouse=True)
def _patience() -> Iterator[None]:
    """A look at a busy machine may take longer than the 5 s that Playwright waits."""
    expect.set_options(timeout=20_000)
    yield
    expect.set_options(timeout=5_000)


async def test_only_a_key_with_the_scope_admin_gets_in_and_what_is_wrong_is_told(
    browser: Browser, system: System, keys: dict[Scope, str]
) -> None:
    async with visit(browser, system) as visited:
        page = visited.page
        await page.get_by_label("Admin key").fill("ck_wrong")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("alert").filter(has_text="This needs a valid API key.")).to_be_visible()
        await page.get_by_label("Admin key").fill(keys[Scope.READ])
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("alert").filter(has_text="This needs a key with the scope admin.")).to_be_visible()
        assert not await page.locator("#board").is_visible()
        await enter(page, keys[Scope.ADMIN])
        assert keys[Scope.ADMIN] not in page.url
        assert await page.evaluate("Object.values(localStorage).length") == 0
        await page.reload()
        await expect(page.get_by_role("heading", name="Queues")).to_be_visible()
        await page.get_by_role("button", name="Forget key").click()
        await expect(page.get_by_label("Admin key")).to_be_focused()
        assert await page.evaluate("sessionStorage.getItem('clipstream.operator')") is None


async def test_a_letter_is_listed_opened_replayed_and_discarded(
    browser: Browser, system: System, keys: dict[Scope, str], tmp_path: Path
) -> None:
    async with emptied(system), visit(browser, system) as visited:
        page = visited.page
        job_id = await fail(system, tmp_path)
        await page.clock.install()
        await enter(page, keys[Scope.ADMIN])
        letter = page.locator("#letter-rows tr")
        await expect(letter).to_have_count(1)
        await expect(letter).to_contain_text("The source is no video or audio file that this service knows.")
        assert await letter.get_by_role("link", name=job_id[:8]).get_attribute("href") == f"/#job={job_id}"
        failure = page.locator("#failure-rows tr").filter(has_text="SOURCE_UNREADABLE")
        await expect(failure).to_contain_text(HINTS[Code.SOURCE_UNREADABLE])
        await expect(failure).to_contain_text("a replay fails the same way. Discard it.")

        await letter.get_by_role("button", name=re.compile("Open")).click()
        opened = page.get_by_role("dialog", name=re.compile("Dead letter"))
        await expect(opened.get_by_role("row", name=f"Clip-Job-Id {job_id}")).to_be_visible()
        assert json.loads(await opened.locator("#letter-body").inner_text())["jobId"] == job_id
        await page.keyboard.press("Escape")

        await page.get_by_label("Your name").fill("ada")
        await letter.get_by_role("button", name=re.compile("Replay")).click()
        await expect(page.locator("#told")).to_have_text(re.compile("1 dead letter put back to work: number .* at the resolver"))
        assert await replayed_by(system, job_id) == ["admin api: ops: ada"]
        await listed(system, job_id)
        await page.clock.run_for(5000)
        await expect(letter).to_have_count(1)

        await letter.get_by_role("button", name=re.compile("Discard")).click()
        sure = page.get_by_role("dialog", name=re.compile("Discard number"))
        await page.keyboard.press("Escape")
        await expect(sure).to_be_hidden()
        await expect(letter).to_have_count(1)
        await letter.get_by_role("button", name=re.compile("Discard")).click()
        await sure.get_by_role("button", name="Discard").click()
        await expect(page.locator("#told")).to_have_text(re.compile("is deleted; its job's history tells of it."))
        await expect(page.get_by_text("None: nothing waits for you.")).to_be_visible()
        await expect(letter).to_have_count(0)


async def test_all_of_a_stage_are_replayed_and_what_can_not_run_again_stays_with_its_reason(
    browser: Browser, system: System, keys: dict[Scope, str], tmp_path: Path
) -> None:
    async with emptied(system, HOSTILE), visit(browser, system) as visited:
        page = visited.page
        jobs = [await fail(system, tmp_path) for _ in range(2)]
        await enter(page, keys[Scope.ADMIN])
        await expect(page.locator("#letter-rows tr")).to_have_count(3)
        await page.get_by_label("Stage", exact=True).select_option("resolver")
        await expect(page.locator("#letter-rows tr")).to_have_count(2)
        await page.get_by_role("button", name="Replay all of resolver").click()
        await page.get_by_role("dialog", name="Replay them?").get_by_role("button", name="Replay").click()
        await expect(page.locator("#told")).to_have_text("2 dead letters put back to work.")
        for job_id in jobs:
            await system.until(job_id, status="failed", seconds=30)
        await page.get_by_label("Stage", exact=True).select_option("")
        await expect(page.locator("#letter-rows tr")).to_have_count(3)
        await page.get_by_role("button", name="Replay all").click()
        await page.get_by_role("dialog", name="Replay them?").get_by_role("button", name="Replay").click()
        await expect(page.locator("#told")).to_have_text(re.compile("2 dead .*; 1 can't run again and stayed, .* its body can't be read"))
        for job_id in jobs:
            await system.until(job_id, status="failed", seconds=30)


async def test_what_strangers_wrote_is_only_ever_text(browser: Browser, system: System, keys: dict[Scope, str]) -> None:
    async with emptied(system, HOSTILE), visit(browser, system) as visited:
        page = visited.page
        await enter(page, keys[Scope.ADMIN])
        row = page.locator("#letter-rows tr")
        await expect(row).to_contain_text("<b>CODE</b>")
        await expect(row).to_contain_text("<img src=x onerror=alert(1)> [2J")
        await expect(row.get_by_role("button", name=re.compile("Replay"))).to_be_disabled()
        await row.get_by_role("button", name=re.compile("Open")).click()
        await expect(page.locator("#letter-headers")).to_contain_text("<i>slanted</i>")
        await expect(page.locator("#letter-body")).to_have_text("{broken <script>")
        await expect(page.locator("#letter-advice")).to_contain_text("It can't run again: Its body can't be read")
        assert await page.locator("main img, main b b, main i, main script").count() == 0


async def test_while_nobody_looks_nothing_is_asked_and_then_at_once(browser: Browser, system: System, keys: dict[Scope, str]) -> None:
    async with visit(browser, system) as visited:
        page = visited.page
        await page.clock.install()
        await enter(page, keys[Scope.ADMIN])
        asked: list[Request] = []
        page.on("request", lambda request: asked.append(request))  # noqa: PLW0108  playwright marks what it calls, and a list's method can't be
        async with page.expect_response("**/api/admin/dlq?*"):
            await page.clock.run_for(5000)
        assert asked
        await look(page, away=True)
        asked.clear()
        await page.clock.run_for(60_000)
        assert asked == []
        async with page.expect_request("**/api/admin/overview"):
            await look(page, away=False)


async def look(page: Page, *, away: bool) -> None:
    """What a browser does when its tab is left, or looked at again; headless it never is."""
    await page.evaluate("away => { Object.defineProperty(document, 'hidden', { value: away, configurable: true }) }", away)
    await page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")


async def test_an_api_that_is_away_is_asked_less_and_less_often_and_the_page_says_so(
    browser: Browser, system: System, keys: dict[Scope, str]
) -> None:
    async with visit(browser, system) as visited:
        page = visited.page
        await page.clock.install()
        await enter(page, keys[Scope.ADMIN])
        await page.context.set_offline(True)
        for seconds, wait in ((5, 10), (10, 20), (20, 40), (40, 60), (60, 60)):
            await page.clock.run_for(seconds * 1000)
            await expect(page.locator("#state")).to_have_text(f"The service can't be reached. Trying again in {wait} seconds.")
        await expect(page.get_by_text("The numbers are from 2 minutes ago.")).to_be_visible()
        await page.context.set_offline(False)
        await page.clock.run_for(60_000)
        await expect(page.locator("#state")).to_have_text("Live: looks again every 5 seconds.")


async def test_what_nobody_can_be_asked_for_is_said_to_be_unknown_and_the_rest_stays(
    browser: Browser, system: System, keys: dict[Scope, str]
) -> None:
    async with visit(browser, system) as visited:
        page = visited.page
        await enter(page, keys[Scope.ADMIN])
        system.kill("janitor")
        await page.get_by_label("Stage", exact=True).select_option("asr")
        await expect(page.get_by_text("Start a janitor")).to_be_visible()
        await expect(page.locator("#queues")).to_be_visible()
        await expect(page.get_by_text("Start a janitor")).to_be_hidden(timeout=30_000)
        os.kill(message_server(system), signal.SIGSTOP)
        try:
            await page.get_by_label("Stage", exact=True).select_option("clipper")
            await expect(page.get_by_text("Not known just now: the message server (NATS)")).to_be_visible()
        finally:
            os.kill(message_server(system), signal.SIGCONT)
        await expect(page.locator("#jobs")).to_be_visible()
        assert not await page.locator("#queues").is_visible()


async def test_a_refresh_takes_nobodys_focus_and_the_keyboard_is_enough(
    browser: Browser, system: System, keys: dict[Scope, str], tmp_path: Path
) -> None:
    async with emptied(system, HOSTILE), visit(browser, system) as visited:
        page = visited.page
        await page.clock.install()
        await enter(page, keys[Scope.ADMIN])
        discard = page.get_by_role("button", name=re.compile("Discard dead letter"))
        await discard.focus()
        await fail(system, tmp_path)
        async with page.expect_response("**/api/admin/dlq?*"):
            await page.clock.run_for(5000)
        await expect(page.locator("#letter-rows tr")).to_have_count(2)
        await expect(discard.first).to_be_focused()
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("button", name="Leave it")).to_be_focused()
        await page.keyboard.press("Tab")
        await page.keyboard.press("Enter")
        await expect(page.locator("#letter-rows tr")).to_have_count(1)
        await expect(page.get_by_role("heading", name=re.compile("Dead letters"))).to_be_focused()


async def test_the_page_is_for_everybody(browser: Browser, system: System, keys: dict[Scope, str], tmp_path: Path) -> None:
    async with emptied(system, HOSTILE), visit(browser, system) as visited:
        page = visited.page
        await fail(system, tmp_path)
        await is_for_everybody(visited)
        await enter(page, keys[Scope.ADMIN])
        await expect(page.locator("#letter-rows tr")).to_have_count(2)
        await is_for_everybody(visited)
        await page.get_by_role("button", name=re.compile("Open")).first.click()
        await is_for_everybody(visited)
        await page.get_by_role("dialog").get_by_role("button", name="Discard").click()
        await is_for_everybody(visited)


async def is_for_everybody(visited: Visit) -> None:
    """In light and in darkness, and on a phone."""
    for size, scheme in LOOKS:
        await visited.page.set_viewport_size(size)
        await visited.page.emulate_media(color_scheme=scheme)
        await visited.is_accessible()
        assert await visited.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_page_and_the_runbook_say_the_same_of_every_code() -> None:
    page = (ROOT / "services/api/web/operator.html").read_text()
    runbook = (ROOT / "docs/runbook.md").read_text()
    said = dict(re.findall(r'<dt id="code-(\w+)">\1</dt><dd>(.*?)</dd>', page))
    assert set(said) <= set(Code)
    table = dict(re.findall(r"^\| ([A-Z_]+) \| ([^|]*) \|$", runbook, re.MULTILINE))
    assert table == said
