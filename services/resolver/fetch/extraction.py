"""yt-dlp: what it says of a URL, and its way of asking sites, with its cookies, headers and checks. Nothing else here knows of it.

It extracts only. It gets no configuration file, cache, plugin or external program but the JavaScript runtime, and the one proxy.
"""

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from yt_dlp import YoutubeDL
from yt_dlp import globals as ytdlp_globals
from yt_dlp.networking import Request
from yt_dlp.networking.exceptions import HTTPError, RequestError, SSLError, TransportError
from yt_dlp.utils import DownloadError, ExtractorError, GeoRestrictedError, UnsupportedError, UserNotLive, YoutubeDLError, unified_timestamp

from libs.common.domain.failures import Code, Failure
from services.resolver.fetch import refusals
from services.resolver.fetch.extractor_choice import possible
from services.resolver.fetch.formats import Info, is_list
from services.resolver.fetch.tracks import Answer
from services.resolver.fetch.words import Site

SORT = ("res:1080", "vcodec:h264", "acodec:aac", "ext:mp4:m4a")
"""Up to 1080 lines, and of those what MP4 players play: it is copied, not encoded anew."""
ENTRIES = "1:2"
"""Of a list as many as tell whether it is one."""
MOST_REDIRECTIONS = 5
MOST_PAGE_BYTES = 16 << 20
"""Of a page or a manifest, unpacked: extractors search it as a whole."""
_BROKEN = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""With these yt-dlp itself breaks on what nobody foresaw in a page or an address."""


class Web:
    """Sites, as yt-dlp visits them."""

    def __init__(self, site: Site, proxy: str) -> None:
        ytdlp_globals.plugin_dirs.value = []
        self._downloader = _Downloader(_options(site, proxy))

    def extract(self, url: str) -> Info:
        """The one video at a URL, with the formats chosen. Raises Failure."""
        with _refusing():
            found = self._downloader.extract_info(url, download=False)
            for _ in range(MOST_REDIRECTIONS):
                if not found or not is_list(found):
                    break
                found = self._only_entry(found)
        if not found:
            raise refusals.by_words("")
        return dict(found)

    def open(self, url: str, headers: Mapping[str, str]) -> Answer:
        """What a site answers, its body still to be read. Raises Failure."""
        with _refusing():
            return _Answer(self._downloader.ask(Request(url, headers={**headers, "Accept-Encoding": "identity"})))

    def _only_entry(self, found: Info) -> Any:
        """Some sites, and pages that show a single video, make a list of one. Raises Failure for a longer one."""
        entries = [entry for entry in found.get("entries") or () if entry]
        if len(entries) != 1:
            raise refusals.playlist()
        return self._downloader.process_ie_result(entries[0], download=False)


def warm_up() -> None:
    """Load and compile what nearly every visit needs, once for all children that are forked from this process. Asks nobody."""
    downloader = Web(Site(format="best", extractors=("default",)), "http://127.0.0.1:1")._downloader  # noqa: SLF001  it is to be as a visit's
    for url in ("https://clip.example/film.mp4", "https://www.youtube.com/watch?v=aqz-KE-bpKQ"):
        for key in possible(downloader._ies, url):  # noqa: SLF001  a class keeps its expression once it is compiled
            if downloader._ies[key].suitable(url):  # noqa: SLF001
                downloader.get_info_extractor(key)
                break
    unified_timestamp("1970-01-01T00:00:00Z, no date")  # some fifty patterns of dates, tried for each Last-Modified


class _Downloader(YoutubeDL):  # type: ignore[misc]  # yt-dlp is untyped
    """Extractors ask through `urlopen`, for what is not large; media are read through `ask`."""

    def extract_info(self, url: str, download: bool = True, ie_key: str | None = None, **more: Any) -> Any:  # noqa: FBT001, FBT002  its own
        """As yt-dlp's own, without the extractors that can't be the one. Raises DownloadError where none is left."""
        key = ie_key or next((key for key in possible(self._ies, url) if self._ies[key].suitable(url)), None)
        if key is None:
            raise DownloadError("No suitable extractor")
        return super().extract_info(url, download, ie_key=key, **more)

    def urlopen(self, req: Any) -> Any:
        response = self.ask(req)
        read, left = response.read, MOST_PAGE_BYTES

        def bounded(amount: int | None = None) -> bytes:
            nonlocal left
            chunk = bytes(read(left + 1 if amount is None else min(amount, left + 1)))
            left -= len(chunk)
            if left < 0:
                raise MemoryError
            return chunk

        response.read = bounded
        return response

    def ask(self, request: Any) -> Any:
        return super().urlopen(request)


class _Answer:
    def __init__(self, response: Any) -> None:
        self._response = response
        self.url: str = response.url
        self.status: int = response.status
        self.headers: Mapping[str, str] = response.headers

    def read(self, amount: int) -> bytes:
        with _refusing():
            return bytes(self._response.read(amount))

    def close(self) -> None:
        self._response.close()


class _Silent:
    """yt-dlp's words may hold URLs, which may hold secrets."""

    def debug(self, message: str) -> None: ...
    def info(self, message: str) -> None: ...
    def warning(self, message: str) -> None: ...
    def error(self, message: str) -> None: ...


def _options(site: Site, proxy: str) -> dict[str, Any]:
    runtime, _, path = (site.js_runtime or "").partition(":")
    return {
        "proxy": proxy,
        "format": site.format,
        "format_sort": SORT,
        "allowed_extractors": list(site.extractors),
        "cookiefile": io.StringIO(Path(site.cookies_file).read_text(encoding="utf-8")) if site.cookies_file else None,
        "js_runtimes": {runtime: {"path": path} if path else {}} if runtime else {},
        "socket_timeout": site.socket_seconds,
        "noplaylist": True,
        "playlist_items": ENTRIES,
        "lazy_playlist": True,
        "extract_flat": "in_playlist",
        "extractor_retries": 1,
        "cachedir": False,
        "logger": _Silent(),
        "quiet": True,
        "noprogress": True,
        "color": "never",
        "skip_download": True,
    }


@contextmanager
def _refusing() -> Iterator[None]:
    """yt-dlp's exceptions as Failures."""
    try:
        yield
    except YoutubeDLError as error:
        raise _failure(error) from None
    except _BROKEN:
        raise refusals.no_video() from None
    except MemoryError:
        raise Failure(Code.SOURCE_UNREADABLE, "the site's answer is too large to be understood", hint=refusals.FILE) from None


def _failure(error: BaseException) -> Failure:
    """By the innermost cause that says something: a DownloadError wraps an ExtractorError, which may wrap an HTTPError."""
    causes = list(_causes(error))
    for cause in reversed(causes):
        if known := _known(cause):
            return known
    return refusals.by_words(" ".join(str(cause) for cause in causes))


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        inner = error.exc_info[1] if isinstance(error, DownloadError | ExtractorError) and error.exc_info else None
        error = inner or getattr(error, "cause", None)


def _known(error: BaseException) -> Failure | None:
    match error:
        case HTTPError(reason="RETRYABLE_ERROR" | "SOURCE_UNREADABLE"):  # the guarding proxy's own words
            return refusals.site_down("its answer breaks off, or is none")
        case HTTPError():
            return refusals.by_status(error.status, _retry_after(error.response.headers))
        case UnsupportedError():  # the generic extractor's word
            return refusals.no_video()
        case GeoRestrictedError():
            return refusals.geo_blocked()
        case UserNotLive():
            return refusals.live()
        case SSLError():
            return refusals.site_down("its certificate is not right")
        case TransportError():
            return refusals.site_down("the connection broke")
        case RequestError():
            return Failure(Code.SOURCE_UNREADABLE, "the site leads to an address that can't be asked", hint=refusals.CHECK_URL)
    if isinstance(error, DownloadError) and "No suitable extractor" in str(error):
        return refusals.unsupported()
    return None


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds (RFC 9110, 10.2.3); a date is not worth reading."""
    text = headers.get("Retry-After") or ""
    return float(text[:6]) if text.isascii() and text.isdigit() else None
