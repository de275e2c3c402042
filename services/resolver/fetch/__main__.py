"""The fetching child: looks at one source by URL, and fetches the part that is asked for. It ends with its one errand.

It connects to nothing but the guarding proxy that its errand names, and to its own gateway.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec

from libs.common.domain.failures import Code, Failure
from libs.common.runtime.confinement import confine_to
from libs.common.runtime.nursery import rear
from services.resolver.fetch import refusals
from services.resolver.fetch.extraction import Web, warm_up
from services.resolver.fetch.film import Film, open_film
from services.resolver.fetch.formats import TEXT, Info, check_duration, check_video, duration_of, formats_of, size_of, title_of, tracks_of
from services.resolver.fetch.gateway import listen
from services.resolver.fetch.words import MOST_KEYFRAMES, Errand, Fetched, Found, Keyframes, Progress, Refused, Said, encoded
from services.resolver.sources import Caps, check_times

Say = Callable[[Said], None]


def main() -> None:
    """An errand on stdin, lines on what was stdout: whatever libraries print goes nowhere."""
    errand = msgspec.json.decode(sys.stdin.buffer.read(), type=Errand)
    answers = os.dup(1)
    with open(os.devnull, "wb") as nowhere:  # noqa: PTH123  a device
        os.dup2(nowhere.fileno(), 1)

    def say(line: Said) -> None:
        os.write(answers, encoded(line))

    try:
        _run(errand, say)
    except Failure as failure:
        say(Refused(code=failure.code, message=failure.message, hint=failure.own_hint, retry_after=failure.retry_after))
    except MemoryError:
        say(Refused(code=Code.SOURCE_UNREADABLE, message="the source takes more memory than it may"))


def _run(errand: Errand, say: Say) -> None:
    web = Web(errand.site, errand.proxy)
    listening = listen()
    confine_to({errand.proxy_port, listening.getsockname()[1]})
    info = web.extract(errand.url)
    check_video(info, errand.max_seconds)
    with open_film(tracks_of(info), web.open, listening) as film:
        say(_found(film, info))
        _check_film(film, info, errand)
        if errand.folder is None or errand.end is None:
            _tell(film, info, errand, say)
        else:
            _fetch(film, errand.start, errand.end, Path(errand.folder), errand.max_bytes, say)


def _check_film(film: Film, info: Info, errand: Errand) -> None:
    """Raises Failure for what is not cut, and for a range outside."""
    if film.is_live:
        raise refusals.live()
    duration = _duration(film, info)
    check_duration(duration, errand.max_seconds)
    if duration is not None and errand.end is not None:
        caps = Caps(max_bytes=errand.max_bytes, max_seconds=errand.max_seconds, min_clip_seconds=errand.min_clip_seconds)
        end = min(errand.end, duration) if errand.is_shared else errand.end
        check_times(errand.start, end, duration, caps)


def _duration(film: Film, info: Info) -> float | None:
    """What the media say goes before what the site says, which is often rounded."""
    return film.duration or duration_of(info)


def _found(film: Film, info: Info) -> Found:
    return Found(
        extractor=str(info.get("extractor_key") or "")[:TEXT],
        title=title_of(info),
        duration=_duration(film, info),
        size=film.size or size_of(info),
        is_section=film.allows_sections,
    )


def _tell(film: Film, info: Info, errand: Errand, say: Say) -> None:
    for offered in formats_of(info):
        say(offered)
    if film.allows_sections and errand.end is not None:
        say(Keyframes(times=tuple(film.keyframes(errand.start, errand.end)[:MOST_KEYFRAMES])))


def _fetch(film: Film, start: float, end: float, folder: Path, max_bytes: int, say: Say) -> None:
    said = 0.0

    def progress(share: float) -> None:
        nonlocal said
        if round(share, 3) != said:
            said = round(share, 3)
            say(Progress(share=said))

    part = film.section(start, end, folder, progress) if film.allows_sections else film.whole(folder, max_bytes, progress)
    say(
        Fetched(
            path=str(part.path),
            container=part.container,
            clock_offset=part.clock_offset,
            begins=part.begins,
            ends=part.ends,
            is_last=part.is_last,
            duration=part.duration,
        )
    )


if __name__ == "__main__":
    warm_up()
    rear(main)
