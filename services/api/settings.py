"""The API's settings."""

from typing import Annotated

from msgspec import Meta

from libs.common.domain.languages import abilities
from libs.common.domain.source_urls import UrlRules
from libs.common.runtime.settings import CommonSettings, Count, Port, Secret
from services.api.admin_access import KEY_LENGTH
from services.api.requests import Limits


class ApiSettings(CommonSettings, frozen=True, kw_only=True):
    host: Annotated[str, Meta(description="Address that the API listens on")] = "127.0.0.1"
    port: Annotated[Port, Meta(description="Port that the API listens on; 0 takes a free one")] = 8080
    coerce_min_duration: Annotated[bool, Meta(description="Lengthen a clip that is too short instead of refusing it")] = False
    upload_url_ttl_sec: Annotated[Count, Meta(description="Life of a signed upload URL")] = 900
    metrics_on_api_port: Annotated[bool, Meta(description="Serve /metrics on the API's port too, not only on the internal one")] = True
    admin_enabled: Annotated[bool, Meta(description="Serve the operator's routes under /api/admin")] = False
    admin_key: Annotated[Secret | None, Meta(description="Key of the operator's routes, of at least 24 characters")] = None

    def problems(self) -> list[str]:
        impossible = self.min_duration_sec > self.max_clip_seconds
        open_to_all = self.admin_enabled and len(self.admin_key or "") < KEY_LENGTH
        return [
            *super().problems(),
            *(["MIN_DURATION_SEC must not be above MAX_CLIP_SECONDS"] if impossible else []),
            *([f"ADMIN_ENABLED needs ADMIN_KEY, a secret of at least {KEY_LENGTH} characters"] if open_to_all else []),
        ]

    @property
    def fetching_rules(self) -> UrlRules | None:
        """Which URLs may be sources; None where none may."""
        return self.url_rules if self.enable_ytdlp else None

    @property
    def limits(self) -> Limits:
        return Limits(
            max_clip_seconds=self.max_clip_seconds,
            min_duration_sec=self.min_duration_sec,
            coerce_min_duration=self.coerce_min_duration,
            max_input_mb=self.max_input_mb,
            retention_hours=self.retention_hours,
            recogniser=abilities(self.groq_model if self.asr_provider == "groq" else self.asr_model),
        )
