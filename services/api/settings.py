"""The API's settings."""

from collections.abc import Callable
from typing import Annotated

from msgspec import Meta

from libs.common.domain.languages import abilities
from libs.common.domain.source_urls import UrlRules
from libs.common.runtime.settings import CommonSettings, Count, Port, Positive, Secret
from services.api.client_address import Proxies
from services.api.cors import Cors
from services.api.keys import API_SECRET_LENGTH
from services.api.requests import Limits
from services.api.webhooks.callback_url import CallbackRules


class ApiSettings(CommonSettings, frozen=True, kw_only=True):
    host: Annotated[str, Meta(description="Address that the API listens on")] = "127.0.0.1"
    port: Annotated[Port, Meta(description="Port that the API listens on; 0 takes a free one")] = 8080
    coerce_min_duration: Annotated[bool, Meta(description="Lengthen a clip that is too short instead of refusing it")] = False
    max_segments: Annotated[int, Meta(ge=1, le=100, description="Ranges that one request may name")] = 10
    max_retention_hours: Annotated[Positive, Meta(description="How long a job may ask to be kept (expiresAt)")] = 168.0
    max_active_jobs_per_client: Annotated[int, Meta(ge=0, description="Jobs that one client may have under way; 0: any number")] = 100
    upload_url_ttl_sec: Annotated[Count, Meta(description="Life of a signed upload URL")] = 900
    metrics_on_api_port: Annotated[bool, Meta(description="Serve /metrics on the API's port too, not only on the internal one")] = True
    event_streams_max: Annotated[Count, Meta(description="Streams of job events that are open at once, at most, in one process")] = 1000
    admin_enabled: Annotated[bool, Meta(description="Serve the operator's routes under /api/admin")] = False
    enable_api_keys: Annotated[bool, Meta(description="Ask for an API key; without it everybody may do everything but operate")] = False
    api_secret: Annotated[
        Secret | None,
        Meta(
            description="What key hashes and webhook secrets are derived from, 32 characters or more; every replica has the same, for ever"
        ),
    ] = None
    rate_limit_max: Annotated[
        int, Meta(ge=0, le=1_000_000, description="Writing requests that one client may send in a window; 0: any number")
    ] = 30
    rate_limit_window_sec: Annotated[int, Meta(ge=1, le=86400, description="Seconds of that window; it begins with the first request")] = 60
    trusted_proxies: Annotated[
        str, Meta(description="Networks (10.1.0.0/16, …) of the proxies before us, whose X-Forwarded-For and -Proto are believed")
    ] = ""
    cors_allow_origins: Annotated[
        str, Meta(description="Origins (https://app.example.com, …) whose pages may read our answers, or *; unset: none")
    ] = ""

    webhook_allow_http: Annotated[
        bool, Meta(description="Let a callbackUrl begin with http:// too; what is told can be read on the way")
    ] = False

    def problems(self) -> list[str]:
        impossible = self.min_duration_sec > self.max_clip_seconds
        return [
            *super().problems(),
            *(["MIN_DURATION_SEC must not be above MAX_CLIP_SECONDS"] if impossible else []),
            *self._access_problems(),
        ]

    def _access_problems(self) -> list[str]:
        weak = len(self.api_secret or "") < API_SECRET_LENGTH
        needing = {"ENABLE_API_KEYS": self.enable_api_keys, "ADMIN_ENABLED": self.admin_enabled}
        rule = f"API_SECRET, a secret of at least {API_SECRET_LENGTH} characters"
        found = [f"{name} needs {rule}" for name, on in needing.items() if on and weak]
        short = [f"API_SECRET must be {rule.partition(', ')[2]}"] if self.api_secret and weak and not found else []
        checks = {"TRUSTED_PROXIES": lambda: Proxies(self.trusted_proxies), "CORS_ALLOW_ORIGINS": lambda: Cors(self.cors_allow_origins)}
        return [*found, *short, *(f"{name}: {problem}" for name, check in checks.items() if (problem := _problem(check)))]

    @property
    def proxies(self) -> Proxies:
        return Proxies(self.trusted_proxies)

    @property
    def cors(self) -> Cors:
        return Cors(self.cors_allow_origins)

    @property
    def fetching_rules(self) -> UrlRules | None:
        """Which URLs may be sources; None where none may."""
        return self.url_rules if self.enable_ytdlp else None

    @property
    def callbacks(self) -> CallbackRules | None:
        """Which URLs webhooks may be sent to; None where there is nothing to sign them with."""
        return CallbackRules.of(self.url_rules, allow_http=self.webhook_allow_http) if self.api_secret else None

    @property
    def limits(self) -> Limits:
        return Limits(
            max_clip_seconds=self.max_clip_seconds,
            min_duration_sec=self.min_duration_sec,
            coerce_min_duration=self.coerce_min_duration,
            max_input_mb=self.max_input_mb,
            retention_hours=self.retention_hours,
            max_retention_hours=max(self.max_retention_hours, self.retention_hours),
            max_segments=self.max_segments,
            recogniser=abilities(self.groq_model if self.asr_provider == "groq" else self.asr_model),
            callbacks=self.callbacks,
        )


def _problem(check: Callable[[], object]) -> str | None:
    try:
        check()
    except ValueError as error:
        return str(error)
    return None
