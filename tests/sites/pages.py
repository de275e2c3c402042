"""Pages that lead to a video, redirects, and pages that only answer with a status.

`/page/<kind>?target=`      og, json-ld, video, source, iframe (the page in it has a <video>), cookie (sets the cookie for /cookies/),
                            two-videos, rss and og-many (playlists of `count` entries), no-video, empty, script (a player's own words only)
`/redirect/<status>?target=`, `/hops/<n>?target=` (n redirects, then the target), `/loop/<any>` (for ever)
`/status/<status>/<any>`    that status; `?retry=` seconds as Retry-After; /status/403/challenge is a bot check as Cloudflare does it
`target` may be anything, of any scheme.
"""

import json
from collections.abc import Callable
from html import escape

from aiohttp import hdrs, web

from tests.sites.exchange import answered
from tests.sites.files import COOKIE

HTML = {hdrs.CONTENT_TYPE: "text/html; charset=utf-8"}
TITLE = "A film of numbers"


def routes() -> list[web.RouteDef]:
    return [
        web.get("/page/{kind}", page),
        web.get("/redirect/{status}", redirect),
        web.get("/hops/{count}", hops),
        web.get("/loop/{any:.*}", loop),
        web.get("/status/{status}/{any:.*}", status),
    ]


def _html(body: str, head: str = "") -> str:
    return f"<!DOCTYPE html><html><head><title>{TITLE}</title>{head}</head><body>{body}</body></html>"


def _og(target: str, count: int) -> str:
    of_video = "".join(f'<meta property="og:video" content="{escape(target)}?{n}">' for n in range(count)) if count > 1 else ""
    return _html("<h1>A film</h1>", of_video or f'<meta property="og:video" content="{escape(target)}">')


def _json_ld(target: str, _count: int) -> str:
    video = {"@context": "https://schema.org", "@type": "VideoObject", "name": TITLE, "contentUrl": target, "duration": "PT20S"}
    return _html("", f'<script type="application/ld+json">{json.dumps(video)}</script>')


def _video(target: str, _count: int) -> str:
    return _html(f'<video controls src="{escape(target)}"></video>')


def _source(target: str, _count: int) -> str:
    return _html(f'<video controls><source src="{escape(target)}" type="video/mp4"></video>')


def _iframe(target: str, _count: int) -> str:
    return _html(f'<iframe src="/page/video?target={escape(target)}" width="640" height="360"></iframe>')


def _two_videos(target: str, _count: int) -> str:
    return _html(f'<video src="{escape(target)}"></video><video src="{escape(target)}?second"></video>')


def _rss(target: str, count: int) -> str:
    items = "".join(f'<item><title>{n}</title><enclosure url="{escape(target)}?{n}" type="video/mp4"/></item>' for n in range(count))
    return f'<?xml version="1.0"?><rss version="2.0"><channel><title>{TITLE}</title>{items}</channel></rss>'


def _script(target: str, _count: int) -> str:
    return _html(f"<script>player.load({{url: {json.dumps(target)}}})</script>")


KINDS: dict[str, Callable[[str, int], str]] = {
    "og": _og,
    "og-many": _og,
    "json-ld": _json_ld,
    "video": _video,
    "source": _source,
    "iframe": _iframe,
    "cookie": _video,
    "two-videos": _two_videos,
    "rss": _rss,
    "script": _script,
    "no-video": lambda _target, _count: _html("<h1>News of the day</h1><p>Nothing to see here.</p>"),
    "empty": lambda _target, _count: "",
}


async def page(request: web.Request) -> web.StreamResponse:
    kind = request.match_info["kind"]
    count = int(request.query.get("count", "1"))
    text = KINDS[kind](request.query.get("target", ""), count)
    headers = {hdrs.CONTENT_TYPE: "application/rss+xml"} if kind == "rss" else dict(HTML)
    if kind == "cookie":
        headers[hdrs.SET_COOKIE] = "=".join(COOKIE) + "; Path=/"
    return await answered(request, text.encode(), headers=headers)


async def redirect(request: web.Request) -> web.StreamResponse:
    return await _sent_to(request, request.query["target"], int(request.match_info["status"]))


async def hops(request: web.Request) -> web.StreamResponse:
    left, target = int(request.match_info["count"]) - 1, request.query["target"]
    return await _sent_to(request, str(request.url.with_path(f"/hops/{left}").with_query(target=target)) if left > 0 else target)


async def loop(request: web.Request) -> web.StreamResponse:
    other = "there" if request.match_info["any"] == "here" else "here"
    return await _sent_to(request, f"http://{request.host}/loop/{other}")


async def _sent_to(request: web.Request, target: str, status: int = 302) -> web.StreamResponse:
    return await answered(request, b"", status=status, headers={hdrs.LOCATION: target})


async def status(request: web.Request) -> web.StreamResponse:
    code, headers = int(request.match_info["status"]), dict(HTML)
    if "retry" in request.query:
        headers[hdrs.RETRY_AFTER] = request.query["retry"]
    if request.match_info["any"] == "challenge":
        headers |= {"Server": "cloudflare", "cf-mitigated": "challenge"}
    return await answered(request, _html(f"<h1>{code}</h1>").encode(), status=code, headers=headers)
