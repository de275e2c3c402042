"""What the resolver reads from the environment beside the common settings."""

from pathlib import Path
from typing import Annotated

from msgspec import Meta

from libs.common.runtime.egress_connections import Upstream
from libs.common.runtime.settings import CommonSettings, Count, Positive, Secret
from services.resolver.fetch.words import Site
from services.resolver.sources import Caps


class ResolverSettings(CommonSettings, frozen=True, kw_only=True):
    probe_timeout_sec: Annotated[Count, Meta(description="Longest look at a source")] = 60
    source_cache_ttl_sec: Annotated[Positive, Meta(description="How long what was fetched from a URL serves other jobs")] = 3600
    ytdlp_format: Annotated[str, Meta(description="Which formats yt-dlp takes; the best up to 1080 lines, H.264 and AAC preferred")] = (
        "bv*+ba/b/ba"
    )
    ytdlp_extractors: Annotated[
        str, Meta(description="Sites that yt-dlp may read: names or patterns of its extractors, comma-separated")
    ] = "default"
    ytdlp_generic: Annotated[bool, Meta(description="Also take videos from pages of sites that yt-dlp does not know by name")] = False
    ytdlp_cookies_file: Annotated[Path | None, Meta(description="Cookies of an account, in Netscape format")] = None
    ytdlp_proxy: Annotated[Secret | None, Meta(description="HTTP proxy on the way to sites, as http://user:password@host:port")] = None
    ytdlp_rate_limit_kbps: Annotated[Count | None, Meta(description="Most kilobytes a second that one job takes from sites")] = None
    ytdlp_js_runtime: Annotated[
        str, Meta(description="JavaScript runtime for sites that need one: deno, node, bun or quickjs, or name:path")
    ] = "deno"
    source_stall_sec: Annotated[Positive, Meta(description="Silence of a site after which its connection is cut")] = 30
    dns_servers: Annotated[
        str, Meta(description="Name servers for sources' hosts, as host or host:port, comma-separated; the system's if unset")
    ] = ""

    @property
    def caps(self) -> Caps:
        return Caps(
            max_bytes=self.max_input_mb << 20,
            max_seconds=self.max_clip_input_duration_sec,
            min_clip_seconds=self.min_duration_sec,
        )

    @property
    def name_servers(self) -> tuple[str, ...]:
        return tuple(_parts(self.dns_servers))

    @property
    def upstream(self) -> Upstream | None:
        """The proxy on the way to sites. Raises ValueError, which does not show it."""
        return Upstream.of(self.ytdlp_proxy.reveal()) if self.ytdlp_proxy else None

    @property
    def site(self) -> Site:
        return Site(
            format=self.ytdlp_format,
            extractors=(*_parts(self.ytdlp_extractors), *(("generic",) if self.ytdlp_generic else ("-generic",))),
            cookies_file=str(self.ytdlp_cookies_file.absolute()) if self.ytdlp_cookies_file else None,
            js_runtime=self.ytdlp_js_runtime,
            socket_seconds=self.source_stall_sec,
        )

    def problems(self) -> list[str]:
        return [*super().problems(), *filter(None, (self._cookies_problem(), self._proxy_problem()))]

    def _cookies_problem(self) -> str | None:
        is_missing = self.ytdlp_cookies_file is not None and not self.ytdlp_cookies_file.is_file()
        return "YTDLP_COOKIES_FILE: there is no such file" if is_missing else None

    def _proxy_problem(self) -> str | None:
        try:
            _ = self.upstream
        except ValueError as error:
            return f"YTDLP_PROXY: {error}"
        return None


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
