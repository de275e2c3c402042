"""Playlists and manifests that lead elsewhere, that grow, or that no reader should follow.

`/manifest/<kind>?target=` hls-segment, hls-key, hls-map, hls-variant, hls-sound, dash-segment, dash-init, dash-file: name the target there;
                           hls-itself leads in a circle; hls-drm and dash-drm are encrypted for a licence (SAMPLE-AES, cenc);
                           hls-many has `count` segments, dash-many as many in one element; hls-live is one segment and no end
`/live/<path>`             HLS while it is recorded: `shown` segments (3) at first, one more with each look, and no end
"""

from html import escape

from aiohttp import hdrs, web

from tests.sites.exchange import answered
from tests.sites.faults import SEEN
from tests.sites.files import TYPES, file_of, with_ranges

TARGET, COUNT = "{target}", "{count}"
HEAD = "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:6\n#EXT-X-MEDIA-SEQUENCE:0\n"
SEGMENT = "#EXTINF:6.0,\n"
END = "#EXT-X-ENDLIST\n"
STREAM = '#EXT-X-STREAM-INF:BANDWIDTH=240000,RESOLUTION=160x96,CODECS="avc1.4d500b,mp4a.40.2"'
HERE = "/manifest/hls-drm"
"""For the places that the target does not take: never reached by who stops in time."""


def _mpd(segments: str, *, more: str = "") -> str:
    return (
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" mediaPresentationDuration="PT20S">'
        f'<Period><AdaptationSet contentType="video" mimeType="video/mp4">{more}'
        f'<Representation id="v" bandwidth="80000" codecs="avc1.4d500b" width="160" height="96">{segments}</Representation>'
        "</AdaptationSet></Period></MPD>"
    )


def _template(media: str, initialization: str, repeat: str = "3") -> str:
    times = f'<SegmentTimeline><S t="0" d="6" r="{repeat}"/></SegmentTimeline>'
    return f'<SegmentTemplate timescale="1" media="{media}" initialization="{initialization}">{times}</SegmentTemplate>'


CENC = '<ContentProtection schemeIdUri="urn:mpeg:dash:mp4protection:2011" value="cenc"/>'
KINDS = {
    "hls-segment": f"{HEAD}{SEGMENT}{TARGET}\n{END}",
    "hls-key": f'{HEAD}#EXT-X-KEY:METHOD=AES-128,URI="{TARGET}"\n{SEGMENT}{HERE}\n{END}',
    "hls-map": f'{HEAD}#EXT-X-MAP:URI="{TARGET}"\n{SEGMENT}{HERE}\n{END}',
    "hls-variant": f"#EXTM3U\n{STREAM}\n{TARGET}\n",
    "hls-sound": f'#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="a",URI="{TARGET}"\n{STREAM},AUDIO="a"\n{HERE}\n',
    "hls-itself": f"#EXTM3U\n{STREAM}\nhls-itself\n",
    "hls-drm": f'{HEAD}#EXT-X-KEY:METHOD=SAMPLE-AES,URI="skd://licence",KEYFORMAT="com.apple.streamingkeydelivery"\n{SEGMENT}segment.ts\n{END}',
    "hls-live": f"{HEAD}{SEGMENT}{TARGET}\n",
    "dash-segment": _mpd(_template(TARGET, HERE)),
    "dash-init": _mpd(_template(HERE, TARGET)),
    "dash-file": _mpd(f"<BaseURL>{TARGET}</BaseURL>"),
    "dash-drm": _mpd(_template("$Number$.m4s", "init.mp4"), more=CENC),
    "dash-many": _mpd(_template("$Number$.m4s", "init.mp4", COUNT)),
}


def routes() -> list[web.RouteDef]:
    return [web.get("/manifest/{kind}", manifest), web.get("/live/{path:.+}", live)]


async def manifest(request: web.Request) -> web.StreamResponse:
    kind, count = request.match_info["kind"], request.query.get("count", "100000")
    is_dash = kind.startswith("dash")
    target = request.query.get("target", "")
    text = (
        _many(int(count))
        if kind == "hls-many"
        else KINDS[kind].replace(TARGET, escape(target) if is_dash else target).replace(COUNT, count)
    )
    return await answered(request, text.encode(), headers={hdrs.CONTENT_TYPE: TYPES[".mpd" if is_dash else ".m3u8"]})


def _many(count: int) -> str:
    return "".join([HEAD, *(f"{SEGMENT}{n}.ts\n" for n in range(count)), END])


async def live(request: web.Request) -> web.StreamResponse:
    path = file_of(request)
    if path.suffix != ".m3u8":
        return await with_ranges(request)
    seen = request.app[SEEN]
    shown = int(request.query.get("shown", "3")) + seen[request.path]
    seen[request.path] += 1
    text = _begun(path.read_text(), shown)
    return await answered(request, text.encode(), headers={hdrs.CONTENT_TYPE: TYPES[".m3u8"]})


def _begun(playlist: str, shown: int) -> str:
    """The first segments of a playlist that is finished."""
    head, *segments = playlist.replace("#EXT-X-PLAYLIST-TYPE:VOD\n", "").replace(END, "").split("#EXTINF")
    return "#EXTINF".join([head, *segments[:shown]])
