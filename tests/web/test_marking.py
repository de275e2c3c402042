"""Marking: what is typed, pressed and dragged, on a page whose service needs no workers for it."""

import random
import re
import subprocess
from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from services.api.timecode import milliseconds
from tests.api.conftest import Running, running
from tests.web.conftest import address, visiting

ALIKE = ["90", "0", "1:02:03.5", "01:02", "90:00", "1m30s", "1h", "2h3m4.25s", "45s", "7.125", "0:00.001", "99:59:59.999"]
NO_TIMES = ["", "x", "-1", "1:60", "1:2:3:4", "61:61", "1:60:00", "1e3", "--", "1:", "1m 2x", "0x10"]


def written(random: random.Random) -> str:
    hours, minutes, seconds, parts = random.randrange(9), random.randrange(60), random.randrange(60), random.randrange(1000)
    return random.choice(
        [
            f"{hours}:{minutes:02}:{seconds:02}.{parts:03}",
            f"{minutes}:{seconds:02}",
            f"{hours}h{minutes}m{seconds}.{parts:03}s",
            f"{seconds}.{parts}",
        ]
    )


async def test_the_page_and_the_service_read_times_alike(browser: Browser, api: Running) -> None:
    some = random.Random(8)
    times = ALIKE + [written(some) for _ in range(300)]
    async with visiting(browser, address(api)) as visit:
        read = await visit.page.evaluate("async (times) => times.map((await import('/web/times.js')).parse)", times)
        assert [round(seconds * 1000) for seconds in read] == [milliseconds(time) for time in times]
        script = "async (all) => { const {parse, format} = await import('/web/times.js'); return all.map((s) => parse(format(s))) }"
        assert await visit.page.evaluate(script, read) == read
        assert set(await visit.page.evaluate("async (times) => times.map((await import('/web/times.js')).parse)", NO_TIMES)) == {None}


async def test_what_is_wrong_with_the_range_is_said_beside_it_and_nothing_is_sent(browser: Browser, api: Running, film: Path) -> None:
    async with visiting(browser, address(api)) as visit:
        await visit.choose(film)
        error, end = visit.page.locator("#range-error"), visit.page.get_by_label("End", exact=True)
        for start, stop, said in [
            ("5", "3", "The end must come after the start."),
            ("5", "soon", "The end is no time"),
            ("5", "14", "The video is only 12"),
            ("5", "5.1", "A clip must be 0.5 s long at least."),
        ]:
            await visit.mark(start, stop)
            await expect(error).to_contain_text(said)
            await expect(end).to_have_attribute("aria-invalid", "true")
            await expect(end).to_have_accessible_description(re.compile(re.escape(said)))
            await visit.make()
            await expect(end).to_be_focused()
        await visit.is_accessible()
        await visit.mark("5", "6")
        await expect(error).to_be_empty()
        assert [request.url for request in visit.requests if request.method == "POST"] == []


async def test_handles_are_dragged_and_the_picture_follows(browser: Browser, api: Running, film: Path) -> None:
    async with visiting(browser, address(api)) as visit:
        page = visit.page
        await visit.choose(film)
        await visit.mark("0", "6")
        strip = await page.locator("#timeline").bounding_box()
        handle = await page.get_by_role("slider", name="Start of the clip").bounding_box()
        assert strip
        assert handle
        middle = handle["y"] + handle["height"] / 2
        await page.mouse.move(handle["x"] + handle["width"] / 2, middle)
        await page.mouse.down()
        await page.mouse.move(strip["x"] + strip["width"] / 4, middle, steps=5)
        await page.mouse.up()
        slider = page.get_by_role("slider", name="Start of the clip")
        assert abs(float(await slider.get_attribute("aria-valuenow") or 0) - 3) < 0.05
        await visit.until("Math.abs(document.getElementById('video').currentTime - 3) < 0.05")
        await slider.press("Home")
        await expect(slider).to_have_attribute("aria-valuetext", "0 seconds")
        await slider.press("End")
        await expect(page.get_by_label("Start", exact=True)).to_have_value("0:05.96")


async def test_keys_write_in_fields_and_act_elsewhere(browser: Browser, api: Running, film: Path) -> None:
    async with visiting(browser, address(api)) as visit:
        page = visit.page
        await visit.choose(film)
        start = page.get_by_label("Start", exact=True)
        await start.fill("")
        await start.press_sequentially("1i o")
        await expect(start).to_have_value("1i o")
        await start.fill("1")
        await page.locator("#source-name").focus()
        await page.keyboard.press("Space")
        await expect(page.get_by_role("button", name="Pause")).to_be_visible()
        await visit.until("document.getElementById('video').currentTime > 0.2")
        await page.keyboard.press("k")
        await expect(page.get_by_role("button", name="Play", exact=True)).to_be_visible()
        await visit.mark("2", "2.6")
        await page.get_by_role("button", name="Play the range").click()
        await visit.until("(window.most = Math.max(window.most ?? 0, document.getElementById('video').currentTime)) > 2.4")
        await visit.until("document.getElementById('video').currentTime < 2.3")


async def test_thumbnails_are_drawn_along_the_timeline(browser: Browser, api: Running, film: Path) -> None:
    drawn = """(() => { const canvas = document.getElementById('thumbnails');
      const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext('2d', {willReadFrequently: true});
      copy.drawImage(canvas, 0, 0);
      const at = (x) => copy.getImageData(canvas.width * x, canvas.height / 2, 1, 1).data[3];
      return canvas.width > 300 && [0.05, 0.35, 0.65, 0.95].every((x) => at(x) === 255) })()"""
    async with visiting(browser, address(api)) as visit:
        await visit.choose(film)
        await visit.until(drawn)


@pytest.fixture
def old_film(tmp_path: Path) -> Path:
    """MPEG-1, which Chromium does not play."""
    path = tmp_path / "old.mpg"
    subprocess.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=160x96:duration=4", str(path)], check=True)
    return path


async def test_a_film_that_the_browser_cannot_play_is_cut_by_typed_times(browser: Browser, api: Running, old_film: Path) -> None:
    async with visiting(browser, address(api), api.environ["S3_ENDPOINT_URL"]) as visit:
        await visit.choose(old_film)
        await expect(visit.page.locator("#unplayable")).to_contain_text(
            "This browser can't play this video, but it can be cut all the same"
        )
        await visit.is_accessible()
        await visit.mark("1", "2")
        await visit.make()
        await expect(visit.page.locator("#job-chip")).to_have_text("Waiting")


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """Says nowhere how long it is, as what a page recorded."""
    path = tmp_path / "recorded.webm"
    source = "-f lavfi -i testsrc2=size=160x96:rate=25:duration=4 -c:v libvpx -deadline realtime -cpu-used 8 -f webm -live 1 pipe:1"
    path.write_bytes(subprocess.run(["ffmpeg", "-v", "error", *source.split()], check=True, capture_output=True).stdout)
    return path


async def test_a_recording_that_says_nowhere_how_long_it_is_is_played_and_marked(browser: Browser, api: Running, recorded: Path) -> None:
    async with visiting(browser, address(api)) as visit:
        await visit.choose(recorded)
        await expect(visit.page.locator("#clock")).to_have_text("0:00.00 / 0:03.96")  # Chromium's end is where the last picture begins
        await expect(visit.page.get_by_label("End", exact=True)).to_have_value("0:03.96")


async def test_a_film_that_is_longer_than_the_service_takes_is_told_before_it_is_sent(browser: Browser, api: Running, film: Path) -> None:
    async with (
        running(api.environ, MAX_CLIP_INPUT_DURATION_SEC="5") as (http, _),
        visiting(browser, str(http.base_url).rstrip("/")) as visit,
    ):
        await visit.page.locator("#file").set_input_files(film)
        said = "This file is too long: 0:12.At most 0:05 can be sent. Choose another one."
        await expect(visit.page.locator("#choose-error")).to_have_text(said)
        await visit.is_accessible()


async def test_the_focus_goes_along_when_what_had_it_is_hidden(browser: Browser, api: Running, film: Path) -> None:
    async with visiting(browser, address(api)) as visit:
        await visit.choose(film)
        await expect(visit.page.locator("#source-name")).to_be_focused()
        await visit.page.get_by_role("button", name="Choose another").press("Enter")
        await expect(visit.page.locator("#choose-title")).to_be_focused()
        await visit.page.go_back()
        await expect(visit.page.locator("#source-name")).to_be_focused()
