"""What the janitor counts, beside the metrics that every service shares."""

from prometheus_client import Counter, Gauge, Histogram

from libs.common.runtime.metrics import SECONDS

RECONCILED = Counter("clip_reconciled_total", "Lost messages published again", ["stage"])
REPLAYS = Counter("clip_replays_total", "Dead letters that an operator wanted back, by outcome", ["outcome"])
DISCARDED = Counter("clip_dead_letters_discarded_total", "Dead letters that an operator deleted")
ADVISORIES = Counter("clip_advisories_total", "Advisories handled, by kind", ["kind"])
EXPIRED_JOBS = Counter("clip_expired_jobs_total", "Jobs deleted at the end of their time")
EXPIRED_UPLOADS = Counter("clip_expired_uploads_total", "Uploads deleted that no job needs")
ABANDONED_UPLOADS = Counter("clip_abandoned_uploads_total", "Unfinished uploads aborted a day after they began")
UPLOAD_RECORDS_REMOVED = Counter("clip_upload_records_removed_total", "Rows of uploads removed at the end of their time")
CLEANUP_SECONDS = Histogram("clip_cleanup_seconds", "Time of a sweep that only one janitor does at a time", ["sweep"], buckets=SECONDS)
CLEANUP_LAST_SUCCESS = Gauge(
    "clip_cleanup_last_success_timestamp_seconds",
    "When this janitor last brought the sweep to its end, in seconds of the epoch; 0 before that",
    ["sweep"],
)
CLEANUP_FAILURES = Counter("clip_cleanup_failures_total", "Sweeps that broke off; each comes again", ["sweep"])
CACHED_SOURCES_EXPIRED = Counter("clip_cached_sources_expired_total", "Fetched sources deleted: out of time, or named by nothing")
QUEUE_PENDING = Gauge("clip_queue_pending", "Messages that nobody has taken yet", ["stage", "lane"])
QUEUE_ACK_PENDING = Gauge("clip_queue_ack_pending", "Messages in hand or waiting for another try", ["stage", "lane"])
QUEUE_OLDEST_SECONDS = Gauge("clip_queue_oldest_seconds", "Age of the lane's oldest message; 0 when it is empty", ["stage", "lane"])
JOBS_OPEN = Gauge("clip_jobs_open", "Jobs that are queued or at work, as the lists know them")
JOBS_SILENT = Gauge(
    "clip_jobs_silent", "Open jobs that were silent past their stage's deadline at the last look, those that wait in the queue included"
)
JOB_OLDEST_SECONDS = Gauge("clip_job_oldest_seconds", "Time since the request or replay of the open job that runs longest; 0 for none")
CANARY_UP = Gauge("clip_canary_up", "1 while the stream takes what is written to it", ["stream"])
CANARY_SECONDS = Histogram("clip_canary_seconds", "Time until the stream has confirmed a canary", ["stream"], buckets=SECONDS)
DEAD_LETTERS_WAITING = Gauge("clip_dead_letters_waiting", "Messages in the dead letters")
ORPHAN_OBJECTS = Counter("clip_orphan_objects_total", "Objects removed whose job is unknown or expired", ["kind"])
MISSING_OBJECTS = Counter("clip_missing_objects_total", "Objects that S3 lost of jobs that are done, by what became of them", ["outcome"])
