"""Row 5: wall time of 30 s out of an hour in an S3 that is far away, beside downloading all of it and letting ffmpeg copy."""

import asyncio
import time
from statistics import median

from bench.cutting.clipper import key_of
from bench.cutting.cuts import Cut, at_keyframes
from bench.cutting.peers import copying
from bench.cutting.session import URL_SECONDS, Session, main
from bench.figures import Figure, at_least
from bench.link import Link, link_to
from bench.processes import spent_by
from libs.common.runtime.object_store import ObjectStore, open_object_store
from libs.common.runtime.settings import load
from services.clipper.settings import ClipperSettings

DELAY = 0.030
RATE = 85e6
"""Bytes/s of one connection, what AWS names for one of S3's (85 to 90 MB/s); the anchor was measured with 57."""
LIMIT = 40


async def measure(session: Session) -> list[Figure]:
    index = await session.index(session.size.film)
    cuts = at_keyframes(index, session.size.rounds, seed=5)
    endpoint = session.variables["S3_ENDPOINT_URL"]
    async with link_to(endpoint, Link(DELAY, RATE)) as link, session.clipper({"S3_ENDPOINT_URL": link.url}) as clipper:
        far = load(ClipperSettings, session.variables | {"S3_ENDPOINT_URL": link.url})
        async with open_object_store(far) as objects:
            turns = [((await clipper.cut(cut)).wall, await _downloaded(session, objects, cut)) for cut in cuts]
    return [_figure(session, [ours for ours, _ in turns], [peer for _, peer in turns])]


def _figure(session: Session, ours: list[float], peer: list[float]) -> Figure:
    ratio = median(peer) / median(ours)
    target, verdict = at_least(ratio, LIMIT)
    return Figure(
        row="5",
        what=f"wall: 30 s at keyframes of {session.size.film.title} far away",
        ours=f"{median(ours):.3f} s",
        peer=f"download, then copy {median(peer):.1f} s",
        ratio=ratio,
        target=target,
        verdict=verdict if session.size.film.seconds * session.size.film.loops >= 3600 else "not judged",
        detail=f"{DELAY * 1000:.0f} ms a request, {RATE / 1e6:.0f} MB/s a connection; verified, not uploaded; the peer: one connection; "
        f"medians of {len(ours)} turns",
    )


async def _downloaded(session: Session, objects: ObjectStore, cut: Cut) -> float:
    """Seconds of the whole way by curl and ffmpeg, in memory."""
    url = await objects.sources.signed_get(key_of(cut), ttl=URL_SECONDS, filename="source.mp4")
    whole = session.folder / "downloaded.mp4"
    began = time.perf_counter()
    await spent_by(["curl", "--silent", "--show-error", "--fail", "--output", str(whole), url])
    await spent_by(copying(cut, str(whole), session.folder / "peer.mp4"))
    took = time.perf_counter() - began
    await asyncio.to_thread(whole.unlink)
    return took


if __name__ == "__main__":
    main(measure)
