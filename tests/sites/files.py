"""Files of the site's folder, with ranges (RFC 9110, 14) and without, and behind what sites ask of their readers.

`/files/<path>`    with ranges, entity tag and date
`/whole/<path>`    ranges are ignored, as by a simple server
`/cookies/<path>`  only for who sends the cookie that the page of `cookie` sets; else 403
`/referred/<path>` only for who says that he comes from this site (Referer); else 403
"""

from collections.abc import Iterator
from pathlib import Path

from aiohttp import hdrs, web

from tests.sites.exchange import CHUNK_BYTES, answered

FOLDER = web.AppKey("folder", Path)
COOKIE = ("visitor", "known")
DATE = "Sun, 01 Nov 2026 12:00:00 GMT"
TYPES = {
    ".mp4": "video/mp4",
    ".m4s": "video/iso.segment",
    ".m4a": "audio/mp4",
    ".mp3": "audio/mpeg",
    ".webm": "video/webm",
    ".mkv": "video/x-matroska",
    ".ts": "video/mp2t",
    ".m3u8": "application/vnd.apple.mpegurl",
    ".mpd": "application/dash+xml",
    ".html": "text/html",
}


def routes() -> list[web.RouteDef]:
    named = {"files": with_ranges, "whole": whole, "cookies": for_known, "referred": for_referred}
    return [web.get(f"/{name}/{{path:.+}}", handler) for name, handler in named.items()]


def file_of(request: web.Request) -> Path:
    """Raises 404 for what is not there, or not in the folder."""
    folder = request.app[FOLDER]
    path = (folder / request.match_info["path"]).resolve()
    if not path.is_relative_to(folder) or not path.is_file():
        raise web.HTTPNotFound
    return path


def type_of(path: Path) -> str:
    return TYPES.get(path.suffix, "application/octet-stream")


def pieces(path: Path, start: int, end: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        file.seek(start)
        while start < end and (piece := file.read(min(CHUNK_BYTES, end - start))):
            start += len(piece)
            yield piece


async def with_ranges(request: web.Request) -> web.StreamResponse:
    path = file_of(request)
    size = path.stat().st_size
    headers = {hdrs.CONTENT_TYPE: type_of(path), hdrs.ACCEPT_RANGES: "bytes", hdrs.ETAG: f'"{size:x}"', hdrs.LAST_MODIFIED: DATE}
    asked = _asked(request, size, headers[hdrs.ETAG])
    if asked is None:
        return await answered(request, pieces(path, 0, size), headers=headers, length=size)
    if not asked:
        return await answered(request, b"", status=416, headers={hdrs.CONTENT_RANGE: f"bytes */{size}"})
    headers[hdrs.CONTENT_RANGE] = f"bytes {asked.start}-{asked.stop - 1}/{size}"
    return await answered(request, pieces(path, asked.start, asked.stop), status=206, headers=headers, length=len(asked))


def _asked(request: web.Request, size: int, tag: str) -> range | None:
    """None: all. Empty: nothing of it can be given."""
    if hdrs.RANGE not in request.headers or request.headers.get(hdrs.IF_RANGE, tag) not in {tag, DATE}:
        return None
    try:
        start, stop, _ = request.http_range.indices(size)
    except ValueError:
        return None
    return range(start, stop)


async def whole(request: web.Request) -> web.StreamResponse:
    path = file_of(request)
    size = path.stat().st_size
    return await answered(request, pieces(path, 0, size), headers={hdrs.CONTENT_TYPE: type_of(path)}, length=size)


async def for_known(request: web.Request) -> web.StreamResponse:
    name, value = COOKIE
    return await (with_ranges(request) if request.cookies.get(name) == value else _refused(request))


async def for_referred(request: web.Request) -> web.StreamResponse:
    is_from_here = request.headers.get(hdrs.REFERER, "").startswith(f"http://{request.host}/")
    return await (with_ranges(request) if is_from_here else _refused(request))


async def _refused(request: web.Request) -> web.StreamResponse:
    return await answered(request, b"<html><body>Forbidden</body></html>", status=403, headers={hdrs.CONTENT_TYPE: "text/html"})
