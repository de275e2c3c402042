"""The janitor's settings."""

from typing import Annotated

from msgspec import Meta

from libs.common.runtime.settings import CommonSettings, Count, Positive


class JanitorSettings(CommonSettings, frozen=True, kw_only=True):
    reconcile_every_sec: Annotated[Positive, Meta(description="Pause between two looks for lost messages")] = 30
    reconcile_queued_sec: Annotated[Positive, Meta(description="Silence after which a job that waits for a stage is looked after")] = 30
    reconcile_margin_sec: Annotated[
        Positive, Meta(description="Silence allowed beyond a running attempt's time limit or a retry's delay")
    ] = 60
    advisories_every_sec: Annotated[Positive, Meta(description="Pause between two looks for messages that were delivered too often")] = 10
    queue_metrics_every_sec: Annotated[Positive, Meta(description="Pause between two measurements of the queues")] = 15
    retention_every_sec: Annotated[Positive, Meta(description="Pause between two clean-ups of what has expired")] = 300
    cleanup_batch_size: Annotated[Count, Meta(description="Expired jobs that are deleted at a time")] = 100
    cleanup_pause_ms: Annotated[Count, Meta(description="Pause between two batches of a clean-up")] = 1000
    cleanup_dry_run: Annotated[bool, Meta(description="Log what a clean-up would delete, and delete nothing")] = False
