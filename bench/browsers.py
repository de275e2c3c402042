"""Chromium and Firefox without a screen and without a word to their makers, each on a profile of its own that is thrown away."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from os import killpg
from pathlib import Path
from signal import SIGKILL

CHROMIUM = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-domain-reliability",
    "--disable-extensions",
    "--disable-sync",
    "--metrics-recording-only",
    "--autoplay-policy=no-user-gesture-required",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
)
FIREFOX_PREFERENCES: dict[str, object] = {
    "app.normandy.enabled": False,
    "app.update.enabled": False,
    "browser.newtabpage.activity-stream.feeds.telemetry": False,
    "browser.region.update.enabled": False,
    "browser.safebrowsing.downloads.enabled": False,
    "browser.safebrowsing.malware.enabled": False,
    "browser.safebrowsing.phishing.enabled": False,
    "browser.search.update": False,
    "browser.shell.checkDefaultBrowser": False,
    "captivedetect.canonicalURL": "",
    "datareporting.healthreport.uploadEnabled": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "dom.push.connection.enabled": False,
    "extensions.getAddons.cache.enabled": False,
    "extensions.systemAddon.update.enabled": False,
    "extensions.update.enabled": False,
    "geo.enabled": False,
    "media.autoplay.default": 0,
    "media.gmp-manager.updateEnabled": False,
    "media.gmp-provider.enabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "network.dns.disablePrefetch": True,
    "network.prefetch-next": False,
    # Whatever else it thinks of goes to a proxy that is not there.
    "network.proxy.type": 1,
    "network.proxy.http": "127.0.0.1",
    "network.proxy.http_port": 9,
    "network.proxy.ssl": "127.0.0.1",
    "network.proxy.ssl_port": 9,
    "network.proxy.no_proxies_on": "127.0.0.1",
    "services.settings.server": "http://127.0.0.1:9",
    "toolkit.metrics.enabled": False,
    "toolkit.metrics.server": "",
}
NAMES = ("chromium", "firefox")


def is_installed(browser: str) -> bool:
    return shutil.which(browser) is not None


@asynccontextmanager
async def showing(browser: str, url: str) -> AsyncIterator[None]:
    """The page is open meanwhile; on leaving the browser is killed with all its processes."""
    with tempfile.TemporaryDirectory(prefix=f"bench-{browser}-", ignore_cleanup_errors=True) as profile:
        process = await asyncio.create_subprocess_exec(
            *_command(browser, Path(profile), url),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            yield
        finally:
            with suppress(ProcessLookupError):
                killpg(process.pid, SIGKILL)
            await process.wait()


def _command(browser: str, profile: Path, url: str) -> list[str]:
    if browser == "chromium":
        return ["chromium", *CHROMIUM, f"--user-data-dir={profile}", url]
    (profile / "user.js").write_text("".join(f'user_pref("{name}", {_value(value)});\n' for name, value in FIREFOX_PREFERENCES.items()))
    return ["firefox", "--headless", "--no-remote", "--profile", str(profile), url]


def _value(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value) if isinstance(value, int) else f'"{value}"'
