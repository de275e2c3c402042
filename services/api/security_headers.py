"""What every answer tells browsers (OWASP's REST security cheat sheet); a route's own header of the same name goes first."""

ALWAYS = {
    b"x-content-type-options": b"nosniff",
    b"cache-control": b"no-store",
    b"referrer-policy": b"no-referrer",
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'",
    b"cross-origin-resource-policy": b"same-origin",
}
HTTPS_ONLY = (b"strict-transport-security", b"max-age=31536000")
"""A year (RFC 6797 6.1), and only to who came by https. Subdomains are not ours to speak for."""
