"""What the janitor counts, beside the metrics that every service shares."""

from prometheus_client import Counter, Gauge

RECONCILED = Counter("clip_reconciled_total", "Lost messages published again", ["stage"])
REPLAYS = Counter("clip_replays_total", "Dead letters that an operator wanted back, by outcome", ["outcome"])
DISCARDED = Counter("clip_dead_letters_discarded_total", "Dead letters that an operator deleted")
ADVISORIES = Counter("clip_advisories_total", "Advisories handled, by kind", ["kind"])
EXPIRED_JOBS = Counter("clip_expired_jobs_total", "Jobs deleted at the end of their time")
EXPIRED_UPLOADS = Counter("clip_expired_uploads_total", "Uploads deleted that no job needs")
ABANDONED_UPLOADS = Counter("clip_abandoned_uploads_total", "Unfinished uploads aborted a day after they began")
UPLOAD_RECORDS_REMOVED = Counter("clip_upload_records_removed_total", "Rows of uploads removed at the end of their time")
CACHED_SOURCES_EXPIRED = Counter("clip_cached_sources_expired_total", "Fetched sources deleted: out of time, or named by nothing")
QUEUE_PENDING = Gauge("clip_queue_pending", "Messages that nobody has taken yet", ["stage", "lane"])
QUEUE_ACK_PENDING = Gauge("clip_queue_ack_pending", "Messages in hand or waiting for another try", ["stage", "lane"])
QUEUE_OLDEST_SECONDS = Gauge("clip_queue_oldest_seconds", "Age of the lane's oldest message; 0 when it is empty", ["stage", "lane"])
DEAD_LETTERS_WAITING = Gauge("clip_dead_letters_waiting", "Messages in the dead letters")
