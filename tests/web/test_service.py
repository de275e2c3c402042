"""What the page does when the service asks for a key, refuses, is away, or its storage lets no page in. No worker runs: jobs wait."""

import json
from pathlib import Path

import httpx
from playwright.async_api import Browser, expect

from libs.common.domain.events import JobFailed, StageName
from services.api.caller import Scope
from tests.api.conftest import Running, running
from tests.api.keyed import client, keyed
from tests.builders import history, ready, requested
from tests.web.conftest import CLOSED, Visit, address, visiting

REFUSED = ("Failed to load resource: the server responded with a status of",)
AWAY = ("Failed to load resource: net::ERR_", *REFUSED)
FAILED = (requested(), ready(), JobFailed(stage=StageName.CLIPPER, code="SOURCE_UNREADABLE", message="the source holds no video"))


async def submitted(visit: Visit, film: Path) -> None:
    await visit.choose(film)
    await visit.mark("1", "3")
    await visit.make()


async def test_where_the_storage_lets_no_page_in_the_file_goes_through_the_service_and_that_is_remembered(
    browser: Browser, api: Running, closed_storage: str, film: Path
) -> None:
    async with (
        running(api.environ, S3_PUBLIC_ENDPOINT_URL=closed_storage) as (http, _),
        visiting(browser, str(http.base_url).rstrip("/"), closed_storage, expected=CLOSED) as visit,
    ):
        await submitted(visit, film)
        await expect(visit.page.locator("#job-chip")).to_have_text("Waiting")
        assert [len(visit.sent(path)) for path in ("/api/uploads", "/api/jobs/upload")] == [1, 1]
        assert [request.method for request in visit.requests if "/api/uploads/" in request.url] == ["DELETE"]
        await visit.page.get_by_role("button", name="Cancel").click()
        await expect(visit.page.locator("#job-chip")).to_have_text("Cancelled")
        await visit.page.get_by_role("button", name="Back to the marks").click()
        await visit.make()
        await expect(visit.page.locator("#job-chip")).to_have_text("Waiting")
        assert [len(visit.sent(path)) for path in ("/api/uploads", "/api/jobs/upload")] == [1, 2]


async def test_an_upload_is_cancelled_and_the_marks_are_still_there(browser: Browser, api: Running, film: Path) -> None:
    async with visiting(browser, address(api), api.environ["S3_ENDPOINT_URL"]) as visit:
        await visit.page.route("**/api/uploads", lambda _: None)  # which is never answered
        await submitted(visit, film)
        await expect(visit.page.locator("#percent-words")).to_have_text("Uploading")
        await visit.page.get_by_role("button", name="Cancel").click()
        await expect(visit.page.get_by_label("End", exact=True)).to_have_value("0:03")
        await expect(visit.page.locator("#submit-error")).to_be_hidden()


async def test_a_key_is_asked_for_kept_for_the_session_and_never_in_an_address(browser: Browser, api: Running, film: Path) -> None:
    async with keyed(api) as (http, to):
        mine, watcher = await client(to.pool, Scope.WRITE, Scope.READ), await client(to.pool, Scope.READ)
        url = str(http.base_url).rstrip("/")
        async with visiting(browser, url, api.environ["S3_ENDPOINT_URL"], expected=REFUSED) as visit:
            page = visit.page
            field = page.get_by_label("Key", exact=True)
            await expect(field).to_be_focused()
            await visit.is_accessible()
            await field.fill("two words")
            await page.keyboard.press("Enter")
            await expect(page.get_by_text("This is no key: keys have no spaces")).to_be_visible()
            await field.fill(" ck_wrong ")
            await page.keyboard.press("Enter")
            await expect(page.get_by_text("This key is not accepted.")).to_be_visible()
            await field.fill(watcher.written)
            await page.keyboard.press("Enter")
            await expect(page.get_by_label("Key", exact=True)).to_be_hidden()
            await submitted(visit, film)
            await expect(page.locator("#submit-error")).to_contain_text("This needs a key with the scope jobs:write.")
            await page.get_by_role("button", name="Key", exact=True).click()
            await field.fill(mine.written)
            await page.keyboard.press("Enter")
            await visit.make()
            await expect(page.locator("#job-chip")).to_have_text("Waiting")
            await page.reload()
            await expect(page.locator("#job-chip")).to_have_text("Waiting")
            assert await page.evaluate("[localStorage.length, location.href.includes('ck_')]") == [0, False]
            assert not [request.url for request in visit.requests if "ck_" in request.url]


async def test_too_many_requests_are_explained_with_how_long_to_wait_and_nothing_is_lost(
    browser: Browser, api: Running, film: Path
) -> None:
    async with running(api.environ, RATE_LIMIT_MAX="1", RATE_LIMIT_WINDOW_SEC="3600") as (http, _):
        url = str(http.base_url).rstrip("/")
        await http.post("/api/uploads", json={"size": 1})
        async with visiting(browser, url, api.environ["S3_ENDPOINT_URL"], expected=REFUSED) as visit:
            await submitted(visit, film)
            await expect(visit.page.locator("#submit-error")).to_contain_text("Try again in")
            await expect(visit.page.get_by_label("End", exact=True)).to_have_value("0:03")
            await visit.is_accessible()


async def test_a_service_that_goes_away_and_comes_back_is_waited_for(browser: Browser, api: Running, film: Path) -> None:
    async with running(api.environ) as (http, _):
        url, port = str(http.base_url).rstrip("/"), str(http.base_url.port)
        context = visiting(browser, url, api.environ["S3_ENDPOINT_URL"], expected=AWAY)
        visit = await context.__aenter__()
        await submitted(visit, film)
        await expect(visit.page.locator("#job-chip")).to_have_text("Waiting")
    await expect(visit.page.locator("#outlook")).to_contain_text("The connection is lost; trying again.", timeout=15000)
    async with running(api.environ, PORT=port) as (http, _):
        job = visit.page.url.partition("#job=")[2]
        assert (await http.delete(f"/api/jobs/{job}")).status_code == 200
        await expect(visit.page.locator("#job-chip")).to_have_text("Cancelled", timeout=30000)
        await context.__aexit__(None, None, None)


async def test_a_job_that_failed_says_why_and_what_to_do_and_is_tried_again(browser: Browser, api: Running) -> None:
    job_id = await api.knows(*history(*FAILED))
    async with visiting(browser, address(api)) as visit:
        await visit.page.goto(f"{visit.url}/#job={job_id}")
        await expect(visit.page.locator("#failure")).to_contain_text("Check that the source plays")
        await visit.is_accessible()
        await visit.page.get_by_role("button", name="Try again").click()
        await expect(visit.page.locator("#job-chip")).to_have_text("At work")


async def test_an_unknown_job_and_an_unusable_file_are_told_plainly(browser: Browser, api: Running, tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    async with visiting(browser, address(api), expected=REFUSED) as visit:
        await visit.page.goto(f"{visit.url}/#job=00000000-0000-4000-8000-000000000000")
        await expect(visit.page.locator("#failure")).to_contain_text("It may have been deleted")
        await visit.page.get_by_role("button", name="Cut a clip").click()
        await visit.page.locator("#file").set_input_files(tmp_path / "empty.mp4")
        await expect(visit.page.locator("#choose-error")).to_contain_text("This file is empty.")


async def test_hostile_names_are_shown_as_the_text_they_are(browser: Browser, api: Running) -> None:
    title = "<img src=x onerror=alert(1)>\u202egpj.exe\x1b[2J"
    async with httpx.AsyncClient(base_url=address(api)) as http:
        form = {"start": "0", "end": "1", "metadata": json.dumps({"title": title})}
        accepted = await http.post("/api/jobs/upload", data=form, files={"file": ("a.mp4", b"x" * 99)})
        assert accepted.status_code == 202
    async with visiting(browser, address(api)) as visit:
        await expect(visit.page.locator("#recent-list bdi").first).to_have_text("<img src=x onerror=alert(1)> gpj.exe [2J")
        assert await visit.page.locator("#recent-list img").count() == 0
