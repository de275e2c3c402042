"""The web tool's files (services/api/web): read once at start, each at a path of its own, and the policy that browsers hold them to."""

import gzip
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
from litestar import HttpMethod, Response, route
from litestar.handlers import HTTPRouteHandler

from services.api.context import AnyRequest
from services.api.settings import ApiSettings

FOLDER = Path(__file__).parent / "web"
KINDS = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
"""What may lie in the folder, and how browsers are told what it is."""
PAGE = ".html"
ORIGIN = re.compile(r"https?://(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]+)?")
"""Nothing else gets into the policy: a space or a semicolon there would begin another rule."""
FACTS = "{{facts}}"
"""In a page: where what it must know of this service goes, as JSON in an attribute."""


@dataclass(frozen=True, slots=True)
class WebFile:
    """What one path answers, `packed` to whoever takes gzip."""

    content: bytes
    packed: bytes
    digest: str
    headers: Mapping[str, str]


def web_routes(settings: ApiSettings) -> list[HTTPRouteHandler]:
    """A route for each file: nothing of a request ever becomes the name of a file."""
    files = sorted(file for file in FOLDER.iterdir() if file.suffix in KINDS)
    paths = {file: _path(file) for file in files if settings.admin_enabled or not file.stem.startswith("operator")}
    return [_route(path, web_file(file.read_bytes(), file.suffix, settings)) for file, path in paths.items()]


def _path(file: Path) -> str:
    if file.suffix != PAGE:
        return f"/web/{file.name}"
    return "/" if file.stem == "index" else f"/{file.stem}"


def web_file(content: bytes, suffix: str, settings: ApiSettings) -> WebFile:
    """With `no-cache` browsers ask each time whether it has changed, so an update is never half there."""
    if suffix == PAGE:
        content = content.replace(FACTS.encode(), escape(msgspec.json.encode(facts(settings)).decode()).encode())
    headers = {
        "cache-control": "no-cache",
        "vary": "accept-encoding",
        "content-type": f"{KINDS[suffix]}; charset=utf-8",
        "content-security-policy": policy(storage_origins(settings)),
    }
    return WebFile(content, gzip.compress(content, mtime=0), hashlib.sha256(content).hexdigest()[:32], headers)


def facts(settings: ApiSettings) -> dict[str, object]:
    """What a page may know before anybody has shown a key: limits, in seconds and bytes, and what the operator switched on."""
    limits = settings.limits
    return {
        "maxClipSeconds": limits.max_clip_seconds,
        "minClipSeconds": 0 if limits.coerce_min_duration else limits.min_duration_sec,
        "maxInputBytes": limits.largest,
        "maxSourceSeconds": settings.max_clip_input_duration_sec,
        "urls": settings.fetching_rules is not None,
        "languages": sorted(code for code in limits.recogniser.languages if len(code) == 2),  # noqa: PLR2004  ISO 639-1: what the API takes
        "translates": limits.recogniser.translates,
    }


def storage_origins(settings: ApiSettings) -> list[str]:
    """Where signed URLs lead: the page puts files there, and plays and reads what comes from there."""
    endpoint = settings.s3_public_endpoint_url or settings.s3_endpoint_url
    if endpoint is None:  # AWS itself, in both of its spellings
        return ["https://s3.amazonaws.com", f"https://s3.{settings.s3_region}.amazonaws.com"]
    parts = urlsplit(endpoint)
    origin = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    return [origin] if ORIGIN.fullmatch(origin) else []


def policy(storage: list[str]) -> str:
    """CSP 3. Scripts and styles are files of ours, and DOM calls that would parse text as HTML or script are refused (Trusted Types).

    Media may come from anywhere: a visitor may name a film by URL, and no page can read what a media element plays.
    """
    stores = " ".join(storage)
    allowed = {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": f"'self' blob: data: {stores}",
        "media-src": f"'self' blob: https: http: {stores}",
        "connect-src": f"'self' {stores}",
        "form-action": "'self'",
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
        "require-trusted-types-for": "'script'",
        "trusted-types": "'none'",
    }
    return "; ".join(f"{name} {sources}" for name, sources in allowed.items())


def _route(path: str, file: WebFile) -> HTTPRouteHandler:
    @route(path, http_method=[HttpMethod.GET, HttpMethod.HEAD], open_to_all=True)
    async def give(request: AnyRequest) -> Response[bytes]:
        packs = "gzip" in request.headers.get("accept-encoding", "")
        headers = {**file.headers, "etag": f'"{file.digest}{"-gzip" if packs else ""}"'}
        if file.digest in request.headers.get("if-none-match", ""):
            return Response(b"", status_code=304, headers=headers)
        return Response(file.packed, headers={**headers, "content-encoding": "gzip"}) if packs else Response(file.content, headers=headers)

    return give
