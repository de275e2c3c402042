"""What the resolver counts beside what every stage does."""

from prometheus_client import Counter

VISITS = Counter("clip_source_visits_total", "Visits to sites, for a look or for a fetch, by outcome: ok or the error's code", ["outcome"])
FETCHED_BYTES = Counter("clip_source_fetched_bytes_total", "Bytes received from sites, pages and manifests included")
SHARED = Counter("clip_source_shared_total", "Jobs by URL whose source another job had fetched")
