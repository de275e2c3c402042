"""From a film on a device to a clip that plays, in a real browser on the whole stack, as a person goes about it."""

import subprocess
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, expect

from tests.sites.site import Site
from tests.web.conftest import storage_of, visiting
from tests.whole_stack import System

PHONE: dict[str, Any] = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True, "color_scheme": "dark"}
PIXELS = 160 * 96


def pictures(path: Path, *before: str) -> list[bytes]:
    """Gray and small, in their order."""
    argv = ["ffmpeg", "-v", "error", *before, "-i", str(path), "-vf", "scale=160:96,format=gray", "-f", "rawvideo", "-"]
    raw = subprocess.run(argv, check=True, capture_output=True).stdout
    return [raw[at : at + PIXELS] for at in range(0, len(raw), PIXELS)]


def nearest(picture: bytes, among: list[bytes]) -> int:
    return min(range(len(among)), key=lambda index: sum(abs(a - b) for a, b in zip(picture, among[index], strict=True)))


TITLES = """() => { window.titles = new Set();
  new MutationObserver(() => window.titles.add(document.title)).observe(document.querySelector("title"), {childList: true}) }"""
CUE = "document.querySelector('#result track').track.cues[0].text.replace(/\\s+/g, ' ')"


async def test_a_film_is_marked_by_keyboard_cut_to_the_frame_played_and_downloaded(
    browser: Browser, system: System, film: Path, tmp_path: Path
) -> None:
    async with visiting(browser, system.stack.url, storage_of(system.stack.environ)) as visit:
        page = visit.page
        await visit.is_accessible()
        await visit.choose(film)
        assert visit.sent("/api/uploads") == visit.sent("/api/jobs/upload") == []
        for key in ["Shift+ArrowRight"] * 3 + ["ArrowRight"] * 4 + ["i"] + ["Shift+ArrowRight"] * 2 + ["ArrowLeft", "o"]:
            await page.keyboard.press(key)
        await expect(page.get_by_label("Start", exact=True)).to_have_value("0:03.16")
        await expect(page.get_by_label("End", exact=True)).to_have_value("0:05.12")
        await page.get_by_role("slider", name="End of the clip").press("ArrowRight")
        await expect(page.get_by_role("slider", name="End of the clip")).to_have_attribute("aria-valuetext", "5.16 seconds")
        await expect(page.locator("#length")).to_have_text("2 s")
        await page.get_by_label("GIF").check()
        await visit.is_accessible()
        await page.get_by_role("button", name="Make the clip").press("Enter")
        await expect(page.locator("#meter")).to_be_visible()
        await visit.until_done()
        assert (len(visit.sent("/api/jobs")), visit.sent("/api/jobs/upload")) == (1, [])
        await visit.plays()
        await visit.is_accessible()
        async with page.expect_download() as download:
            await page.get_by_role("link", name="Download Clip, MP4").click()
        await (await download.value).save_as(tmp_path / "clip.mp4")
        clip, source = pictures(tmp_path / "clip.mp4"), pictures(film)
        assert (len(clip), nearest(clip[0], source), nearest(clip[-1], source)) == (50, 79, 128)
        await expect(page.get_by_role("link", name="Download Moving picture, GIF")).to_be_visible()

        await page.get_by_role("button", name="Cut another from the same video").click()
        await expect(page.get_by_label("Start", exact=True)).to_have_value("0:03.16")
        await visit.mark("1", "2")
        await visit.make()
        await visit.until_done()
        assert len(visit.sent("/api/uploads")) == 1
        first = page.locator("#recent-list a").nth(1)
        await expect(first).to_contain_text("0:03.16 to 0:05.16")
        await first.click()
        await expect(page.locator("#job-about")).to_have_text("0:03.16 to 0:05.16")
        await page.go_back()
        await expect(page.locator("#job-about")).to_have_text("0:01 to 0:02")
        await page.reload()
        await visit.until_done()


async def test_subtitles_are_seen_on_a_phone_and_the_progress_moves(browser: Browser, system: System, spoken: Path) -> None:
    async with visiting(browser, system.stack.url, storage_of(system.stack.environ), **PHONE) as visit:
        page = visit.page
        await page.evaluate(TITLES)
        await visit.choose(spoken)
        await visit.mark("20.3", "23.9")
        await page.get_by_label("Subtitles").tap()
        await page.get_by_label("Burn them in").tap()
        await page.get_by_label("Boxed").check()
        await visit.is_accessible()
        assert await page.evaluate("document.documentElement.scrollWidth") == 360
        await page.get_by_role("button", name="Make the clip").tap()
        await visit.is_accessible()
        await visit.until_done(120)
        moved = await page.evaluate("[...window.titles]")
        assert len([title for title in moved if "%" in title]) > 3
        await visit.until("document.querySelector('#result track')?.track.cues?.length > 0")
        assert "everything before us" in await page.evaluate(CUE)
        assert await page.evaluate("document.querySelector('#result track').track.mode") == "showing"
        await page.get_by_label("Burned-in subtitles").check()
        await visit.plays()
        await expect(page.get_by_role("link", name="Download Subtitles, SRT")).to_be_visible()
        assert await page.evaluate("document.documentElement.scrollWidth") == 360
        await visit.is_accessible()


async def test_a_video_by_its_address_is_looked_at_played_and_cut(browser: Browser, system: System, site: Site, film: Path) -> None:
    (site.folder / "by_address.mp4").write_bytes(film.read_bytes())
    url = site.file(site.folder / "by_address.mp4")
    async with visiting(browser, system.stack.url, storage_of(system.stack.environ), f"http://{site.host}:{site.port}") as visit:
        await visit.page.get_by_label("Or the address of a video").fill(url)
        await visit.page.keyboard.press("Enter")
        await expect(visit.page.locator("#work")).to_be_visible(timeout=30000)
        await expect(visit.page.locator("#clock")).to_have_text("0:00.00 / 0:12.00")
        await visit.mark("0:02", "3s")
        await visit.make()
        await visit.until_done()
        await visit.plays()
