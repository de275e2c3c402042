"""The benchmark of sources by URL: its ranges and its judge, and one turn of each way on a short film."""

import sys
from asyncio.subprocess import PIPE, create_subprocess_exec
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.fetching.fetcher import FetchFailed, running_fetcher
from bench.fetching.fetches import Rig, Rounds, taken
from bench.fetching.jobs import Ran
from bench.fetching.memory import watched
from bench.fetching.ranges import Range, off_by, ranges
from libs.common.runtime.object_store import open_object_store
from libs.common.runtime.settings import load
from services.clipper.settings import ClipperSettings
from tests.clipper.running import Clipper
from tests.e2e.test_urls import bytes_of
from tests.sites.films import FOLDER, FRAME_RATE, SHORT_SECONDS, short_film
from tests.sites.packagings import packaged
from tests.sites.site import open_site

HELD = 64 << 20
HOLDER = f"import sys; held = b'x' * {HELD}; print(len(held), flush=True); sys.stdin.read()"
WANTED = Range(50, 60, FRAME_RATE)


@given(st.integers(20, 7200), st.sampled_from([10, 25, 30]), st.integers(1, 30), st.integers())
def test_ranges_lie_in_the_film_and_begin_at_their_first_picture_or_a_little_before(seconds: int, rate: int, count: int, seed: int):
    made = ranges(seconds, rate, count, seed=seed)
    assert len(made) == count
    for one in made:
        assert 0 < one.start < one.end <= seconds
        assert -0.0005 <= one.first / rate - one.start <= 0.0145
        assert (one.first - 1) / rate < one.start - 0.01
        assert one.end - one.start == pytest.approx(10, abs=0.0011)
        assert len(one.numbers) == 10 * rate


@pytest.mark.parametrize(
    ("found", "off"),
    [
        (range(50, 110), 0),
        (range(50, 112), 2),
        (range(51, 111), 2),
        ([], 60),
        ([51, 50, *range(52, 110)], 1),
        ([50, 50, *range(51, 110)], 1),
    ],
)
def test_pictures_that_are_missing_or_too_many_or_out_of_order_are_told(found: list[int], off: int):
    assert off_by(found, WANTED) == off


def test_jobs_at_once_last_from_the_first_acceptance_to_the_last_end():
    begin = datetime(2026, 11, 21, tzinfo=UTC)

    def job(created: float, ended: float) -> dict[str, str]:
        return {name: (begin + timedelta(seconds=at)).isoformat() for name, at in (("createdAt", created), ("updatedAt", ended))}

    assert Ran([job(0.5, 2), job(0, 1), job(1, 1.5)], 0, 0).seconds == 2


@pytest.fixture
async def rig(pytestconfig: pytest.Config, servers: dict[str, str], tmp_path: Path) -> AsyncIterator[Rig]:
    films = Path(pytestconfig.cache.mkdir(FOLDER))
    async with (
        open_site(films) as site,
        running_fetcher(site.port, tmp_path / "worker.log") as fetcher,
        open_object_store(load(ClipperSettings, servers)) as objects,
    ):
        await objects.ensure_buckets()
        yield Rig(site, fetcher, Clipper(objects, servers, tmp_path), tmp_path)


async def test_ours_is_exact_and_the_peers_are_what_they_are(rig: Rig):
    entry = packaged(short_film(rig.site.folder), "hls-ts")
    turns = await taken(rig, entry, ranges(SHORT_SECONDS, FRAME_RATE, 1, seed=0), Rounds(ours=1, peers=1, whole=1))
    [ours], [section], [exact], [whole] = turns.values()
    assert (ours.off, exact.off, whole.off) == (0, 0, None)
    assert section.off
    assert whole.sent >= bytes_of(entry)
    assert all(turn.requests > 1 and turn.spent.wall > 0.1 and turn.spent.cpu > 0.1 for turn in (ours, section, exact, whole))


async def test_a_fetch_that_fails_ends_the_measurement(rig: Rig):
    with pytest.raises(FetchFailed, match="NOT_FOUND"):
        await rig.fetcher.fetch(rig.site.url("/status/404/film.mp4"), WANTED, rig.folder)


async def test_memory_is_told_by_what_the_command_names():
    process = await create_subprocess_exec(sys.executable, "-c", HOLDER, "holder.child", stdin=PIPE, stdout=PIPE)
    assert process.stdin
    assert process.stdout
    await process.stdout.readline()
    async with watched([process.pid], ("holder", "holder.child")) as high:
        pass
    process.stdin.close()
    await process.wait()
    assert HELD < high.rss["holder.child"] < 2 * HELD
    assert HELD < high.pss["holder.child"] <= high.rss["holder.child"]
    assert "holder" not in high.rss
