"""The way to a server, step by step: its name, a connection, its certificate. Nothing is said to it yet."""

import socket
import ssl
import time
import urllib.request
from urllib.parse import urlsplit

from clipstream.address import is_loopback
from clipstream.cli.findings import Look, Seen, failed, ok, warning
from clipstream.wire import trusted

SOON = 14
"""Days before its end in which a certificate should have been renewed."""
DAY = 86_400
CONNECT = 5.0
PORTS = {"http": 80, "https": 443}
CERTIFICATES = {
    10: ("its certificate has expired", "Whoever runs the server must renew it; check this computer's clock, too."),
    9: ("its certificate is not valid yet", "Check this computer's clock."),
    62: ("its certificate is for another name", "Use the name that the certificate is for."),
}
"""By OpenSSL's X509_V_ERR codes."""
UNTRUSTED = "For a certificate of your own, name its authority's file in SSL_CERT_FILE."


def looks(url: str) -> list[Look]:
    return [
        Look("name", lambda: _name(url), "address"),
        Look("connection", lambda: _connection(url), "name"),
        Look("certificate", lambda: _certificate(url), "connection"),
    ]


def _target(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or PORTS[parts.scheme]


def _proxied(url: str) -> Seen | None:
    """What lies behind a proxy can't be looked at from here."""
    host, _ = _target(url)
    if is_loopback(host) or urllib.request.proxy_bypass(host):
        return None
    proxies = urllib.request.getproxies()
    return ok("a proxy is in between, so this is not looked at") if urlsplit(url).scheme in proxies or "all" in proxies else None


def _name(url: str) -> Seen:
    if proxied := _proxied(url):
        return proxied
    host, port = _target(url)
    try:
        found = {info[4][0] for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
    except (OSError, UnicodeError):
        return failed(f"{host} is not known", "Check the address, and that this computer is online.")
    return ok(f"{host} is {', '.join(sorted(map(str, found))[:3])}")


def _connection(url: str) -> Seen:
    if proxied := _proxied(url):
        return proxied
    host, port = _target(url)
    begun = time.monotonic()
    try:
        socket.create_connection((host, port), timeout=CONNECT).close()
    except (OSError, UnicodeError) as error:
        why = (
            "nobody answers"
            if isinstance(error, TimeoutError)
            else "nobody listens"
            if isinstance(error, ConnectionRefusedError)
            else "no way"
        )
        return failed(f"{why} at {host} port {port}", "Check the address and the port, and that the server runs (here: clipstream up).")
    return ok(f"port {port}, after {(time.monotonic() - begun) * 1000:.0f} ms")


def _certificate(url: str) -> Seen:
    if proxied := _proxied(url):
        return proxied
    host, port = _target(url)
    if urlsplit(url).scheme == "http":
        return _plain_http(host)
    try:
        with socket.create_connection((host, port), timeout=CONNECT) as raw, trusted().wrap_socket(raw, server_hostname=host) as safe:
            ends = ssl.cert_time_to_seconds(str((safe.getpeercert() or {})["notAfter"]))
    except ssl.SSLCertVerificationError as error:
        return failed(*CERTIFICATES.get(error.verify_code, ("its certificate is not trusted", UNTRUSTED)))
    except (OSError, ssl.SSLError):
        return failed("no TLS can be agreed on", "Check that the port is the server's HTTPS one.")
    return certificate_seen(ends, time.time())


def _plain_http(host: str) -> Seen:
    if is_loopback(host):
        return ok("none is needed on this computer")
    return warning("plain HTTP: videos and keys can be read on the way", "Use https, unless the network is your own.")


def certificate_seen(ends: float, now: float) -> Seen:
    """`ends` and `now` in seconds of the epoch."""
    days = (ends - now) / DAY
    text = f"good for {days:.0f} days more"
    return ok(text) if days > SOON else warning(text, "Whoever runs the server should renew it now.")
