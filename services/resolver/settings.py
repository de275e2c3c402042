"""What the resolver reads from the environment beside the common settings."""

from typing import Annotated

from msgspec import Meta

from libs.common.runtime.settings import CommonSettings, Count
from services.resolver.sources import Caps


class ResolverSettings(CommonSettings, frozen=True, kw_only=True):
    probe_timeout_sec: Annotated[Count, Meta(description="Longest look at a source")] = 60

    @property
    def caps(self) -> Caps:
        return Caps(
            max_bytes=self.max_input_mb << 20,
            max_seconds=self.max_clip_input_duration_sec,
            min_clip_seconds=self.min_duration_sec,
        )
