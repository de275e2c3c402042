"""Which pages of other origins a browser lets read our answers: none, unless the operator names them (the Fetch standard, 3.2). Pure."""

import re

Headers = list[tuple[bytes, bytes]]

ANY = "*"
EXPOSED = "x-correlation-id, location, retry-after, ratelimit-limit, ratelimit-remaining, ratelimit-reset, ratelimit-policy"
METHODS = "GET, HEAD, POST, PUT, DELETE"
REQUEST_HEADERS = "authorization, x-api-key, content-type, idempotency-key, last-event-id, x-request-id, x-operator, traceparent"
PREFLIGHT_SECONDS = 600
_ORIGIN = re.compile(r"https?://[a-z0-9.-]+(:[0-9]{1,5})?|https?://\[[0-9a-f:]+\](:[0-9]{1,5})?|[a-z][a-z0-9+.-]*-extension://[a-z0-9-]+")


class Cors:
    """Never with credentials: keys travel in headers, which a page sets itself."""

    def __init__(self, origins: str = "") -> None:
        """Comma-separated, as browsers send them (https://app.example.com), or *. Raises ValueError that names what is wrong."""
        self._origins = {text.strip() for text in origins.split(",") if text.strip()}
        for origin in self._origins:
            if origin != ANY and not _ORIGIN.fullmatch(origin):
                raise ValueError(f"{origin[:80]!r} is no origin: write it as https://app.example.com, without a path, or *")

    def __bool__(self) -> bool:
        """Whether any is let in."""
        return bool(self._origins)

    def headers(self, origin: str) -> Headers:
        """What goes with any answer to a request of this origin (empty: it named none)."""
        if not self._origins:
            return []
        if ANY in self._origins:
            return [(b"access-control-allow-origin", b"*"), (b"access-control-expose-headers", EXPOSED.encode())]
        vary = [(b"vary", b"origin")]
        if origin not in self._origins:
            return vary
        return [*vary, (b"access-control-allow-origin", origin.encode()), (b"access-control-expose-headers", EXPOSED.encode())]

    def preflight(self, origin: str, method: str) -> Headers | None:
        """The answer's headers, beside those of `headers`; None where this is no preflight of an origin that we know."""
        if not (origin and method) or not (self._origins & {origin, ANY}):
            return None
        return [
            (b"access-control-allow-methods", METHODS.encode()),
            (b"access-control-allow-headers", REQUEST_HEADERS.encode()),
            (b"access-control-max-age", str(PREFLIGHT_SECONDS).encode()),
        ]
