"""The moment that a YouTube URL names: what a player would begin with. Pure."""

from urllib.parse import parse_qsl, urlsplit

from services.api.timecode import milliseconds

HOSTS = frozenset({"youtube.com", "youtu.be", "youtube-nocookie.com"})
"""With all their subdomains: www, m, music."""


def start_in(url: str) -> str | None:
    """The time in `t=` or `start=`, of the query or else of the fragment, for `milliseconds`; None where there is none to be read."""
    try:
        parts = urlsplit(url)
        fields = dict(parse_qsl(parts.fragment) + parse_qsl(parts.query))
    except ValueError:
        return None
    named = fields.get("t") or fields.get("start")
    return named if named and _is_youtube(parts.hostname or "") and _is_time(named) else None


def _is_youtube(host: str) -> bool:
    return any(host == known or host.endswith(f".{known}") for known in HOSTS)


def _is_time(text: str) -> bool:
    try:
        milliseconds(text)
    except ValueError:
        return False
    return True
