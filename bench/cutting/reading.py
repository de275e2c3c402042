"""Row 4: bytes that come from S3 for a clip, counted on the wire, beside the index and the clip's own range, as ffprobe tells them."""

import struct
from pathlib import Path
from statistics import median

from bench.cutting.clipper import Clipper
from bench.cutting.cuts import Cut, Index, anywhere, at_keyframes
from bench.cutting.session import Session, main
from bench.figures import Figure, at_most
from bench.link import Link, link_to
from bench.sources import RATE, Source

SOUND_MARGIN = 0.022
"""Seconds: an AAC frame at 48 kHz; the sound at a range's edges lies in packets that begin before it."""
LIMIT = 1.05


async def measure(session: Session) -> list[Figure]:
    async with link_to(session.variables["S3_ENDPOINT_URL"], Link()) as link, session.clipper({"S3_ENDPOINT_URL": link.url}) as clipper:
        return [await _figure(session, clipper, link, source, kind) for source in (session.size.small, session.size.film) for kind in KINDS]


KINDS = {"at keyframes": at_keyframes, "anywhere": anywhere}


async def _figure(session: Session, clipper: Clipper, link: Link, source: Source, kind: str) -> Figure:
    index = await session.index(source)
    cuts = KINDS[kind](index, 2 * session.size.rounds, seed=4)
    read = [await _read(clipper, link, cut) for cut in cuts]
    ratios = [came / needed(index, cut) for (came, _), cut in zip(read, cuts, strict=True)]
    target, verdict = at_most(max(ratios), LIMIT)
    came, least = median(bytes_down for bytes_down, _ in read), median(needed(index, cut) for cut in cuts)
    return Figure(
        row="4",
        what=f"bytes from S3: 30 s {kind}, {source.title}",
        ours=f"{came / 1e6:.2f} MB",
        peer=f"index + range {least / 1e6:.2f} MB",
        ratio=max(ratios),
        target=target,
        verdict=verdict,
        detail=f"largest ratio of {len(cuts)} cuts (median {median(ratios):.3f}), medians of the bytes; HTTP heads count; "
        f"{median(requests for _, requests in read):g} requests a cut",
    )


async def _read(clipper: Clipper, link: Link, cut: Cut) -> tuple[int, int]:
    """(bytes, requests)."""
    bytes_before, requests_before = link.bytes_down, link.requests
    await clipper.cut(cut)
    return link.bytes_down - bytes_before, link.requests - requests_before


def needed(index: Index, cut: Cut) -> int:
    """The index (what comes before the media) and all from the keyframe that the first picture needs to the last packet of the range."""
    end = cut.first_time + cut.frames / RATE
    key = index.shown[index.keys[index.keys <= cut.first].max()]
    sound = ~index.is_video & (index.time > cut.first_time - SOUND_MARGIN) & (index.time < end)
    picture = index.is_video & (index.time >= key - 1e-6) & (index.time < end - 1e-6)
    chosen = sound | picture
    span = (index.place + index.size)[chosen].max() - index.place[chosen].min()
    return int(span + index_bytes(index.source.path))


def index_bytes(path: Path) -> int:
    """Size of the moov box, which lies before the media (ISO/IEC 14496-12 8.2.1)."""
    with path.open("rb") as file:
        while len(head := file.read(8)) == 8:
            size, name = struct.unpack(">I4s", head)
            if name == b"moov":
                return int(size)
            file.seek(max(size - 8, 0), 1)
    raise ValueError(f"{path} has no moov box before its media")


if __name__ == "__main__":
    main(measure)
