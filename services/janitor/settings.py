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
    old_uploads_every_sec: Annotated[Positive, Meta(description="Pause between two walks through all uploads for old ones")] = 21600
    cleanup_batch_size: Annotated[Count, Meta(description="Expired jobs, uploads or sources that are deleted at a time")] = 100
    cleanup_pause_ms: Annotated[Count, Meta(description="Pause between two batches of a clean-up")] = 100
    orphans_every_sec: Annotated[
        Positive, Meta(description="Pause between two looks for objects without a job and jobs without an object")
    ] = 86400
    orphans_grace_hours: Annotated[Positive, Meta(description="Age from which on an object without a job is removed")] = 24
    cleanup_dry_run: Annotated[bool, Meta(description="Log what a clean-up would delete, and delete nothing")] = False
