"""What the services depend on, their processes, and housekeeping."""

from tools.monitoring.grafana import Panel, Query, Row, too_high, too_low
from tools.monitoring.queries import RATE, a_minute, a_second, most, p95, quantile, selected, total

_WORKERS = '{job=~"clipstream-(resolver|clipper|asr)"}'
"""Who has scratch."""
_OWN_CPU = f"rate(process_cpu_seconds_total{{$here}}{RATE})"
CPU = f"({_OWN_CPU} + (rate(clip_children_cpu_seconds_total{{$here}}{RATE}) or {_OWN_CPU} * 0))"
"""Cores in use by each process: its own, and its ended children's."""

DEPENDENCIES = Row(
    "What it depends on",
    (
        Panel(
            "Latency, p95",
            "Of calls: Postgres, NATS, S3, and the outside: the ASR provider, sites, receivers of webhooks.",
            "s",
            [p95("clip_dependency_seconds", "dependency")],
        ),
        Panel("Calls", "By dependency.", "reqps", [a_second("clip_dependency_seconds_count", "dependency")]),
        Panel(
            "Failed calls, a minute",
            "They are tried again. The alert is at 5 % of all.",
            "cpm",
            [a_minute("clip_dependency_errors_total", "dependency, operation")],
        ),
        Panel(
            "Reached",
            "1 while all processes reach it.",
            "short",
            [Query("min by (dependency) (clip_dependency_up{$here})", "{{dependency}}")],
            limits=too_low(1, 1),
            most=1,
        ),
        Panel("S3, p95", "Time to the answer, repeats included.", "s", [p95("clip_storage_request_seconds", "operation")]),
        Panel(
            "S3 answers that were not ok, a minute",
            "missing is usual: so a worker sees that nobody was there before it.",
            "cpm",
            [a_minute('clip_storage_requests_total{outcome!="ok"}', "operation, outcome")],
        ),
        Panel("Canary, p95", "Time until a stream has confirmed a write.", "s", [p95("clip_canary_seconds", "stream")]),
        Panel(
            "Events behind",
            "Age of the oldest event that lists, live streams and webhooks have not been given.",
            "s",
            [most("clip_feed_lag_seconds", "job")],
            limits=too_high(None, 30),
        ),
        Panel(
            "Webhooks behind",
            "How long the one that is due longest has waited for a sender, and the age of the oldest that is not delivered.",
            "s",
            [most("clip_webhook_overdue_seconds", name="overdue"), most("clip_webhook_oldest_seconds", name="oldest")],
        ),
    ),
)

PROCESSES = Row(
    "Processes",
    (
        Panel("Up", "Processes that answer.", "short", [Query('sum by (job) (up{$here,job=~"clipstream-.+"})')]),
        Panel("CPU", "Cores in use, ended children (ffmpeg, fetches) included.", "short", [Query(f"sum by (job) {CPU}")], stacked=True),
        Panel("Memory", "Resident, without children.", "bytes", [total("process_resident_memory_bytes", "job")]),
        Panel(
            "Event loop late, p99",
            "How late a timer rings. The alert is at 0.5 s.",
            "s",
            [quantile(0.99, "clip_event_loop_lag_seconds", "job", "{{job}}")],
            limits=too_high(None, 0.5),
        ),
        Panel(
            "Used of the limit",
            "Memory, open files and scratch, of the process that is nearest; 100 % for a worker that takes no work. The alert is at 85 %.",
            "percentunit",
            [most("clip_resource_used_ratio", "resource"), most("clip_scratch_full", name="scratch is full")],
            limits=too_high(None, 0.85),
            most=1,
        ),
        Panel("Open files", "Of the process with most.", "short", [most("process_open_fds", "job")]),
        Panel("Scratch in use", "What the files of the work in hand take.", "bytes", [most(f"clip_scratch_bytes{_WORKERS}", "job")]),
        Panel(
            "Scratch free",
            "On the disk of SCRATCH_DIR, of the worker with least.",
            "bytes",
            [Query(f"min by (job) ({selected(f'clip_scratch_free_bytes{_WORKERS}')})")],
        ),
        Panel(
            "Versions",
            "Processes by version. Two versions of one service are a deployment under way.",
            "short",
            [Query("count by (service, version) (clip_build_info{$here})", "{{service}} {{version}}")],
            "table",
        ),
    ),
)

HOUSEKEEPING = Row(
    "Housekeeping",
    (
        Panel(
            "Since the last clean-up",
            "By sweep. Alerts: 15 min for what rescues messages, 2 h for what deletes, 2 days for looks at the whole storage.",
            "s",
            [Query("time() - max by (sweep) (clip_cleanup_last_success_timestamp_seconds{$here} > 0)", "{{sweep}}")],
            "bargauge",
            too_high(7200, 172800),
        ),
        Panel("Clean-up, p95", "Time of a sweep.", "s", [p95("clip_cleanup_seconds", "sweep")]),
        Panel(
            "Deleted, a minute",
            "At the end of their time: jobs, uploads, fetched sources; and files that no job names.",
            "cpm",
            [
                a_minute("clip_expired_jobs_total", name="jobs"),
                a_minute("clip_expired_uploads_total", name="uploads"),
                a_minute("clip_abandoned_uploads_total", name="abandoned uploads"),
                a_minute("clip_cached_sources_expired_total", name="fetched sources"),
                a_minute("clip_upload_records_removed_total", name="rows of uploads"),
                a_minute("clip_orphan_objects_total", "kind", "orphan {{kind}}"),
            ],
        ),
        Panel(
            "Failed sweeps of the last hour",
            "The alert is at 3.",
            "short",
            [Query("sum by (sweep) (increase(clip_cleanup_failures_total{$here}[1h]))", "{{sweep}}")],
            "bargauge",
            too_high(1, 3),
            nothing="none",
        ),
        Panel(
            "Files that were missing, in a day",
            "Jobs without their files: repaired, or lost.",
            "short",
            [Query("sum by (outcome) (increase(clip_missing_objects_total{$here}[1d]))", "{{outcome}}")],
            "bargauge",
            too_high(1, 1),
            nothing="none",
        ),
        Panel("Traces dropped, a minute", "Because their collector was away.", "cpm", [a_minute("clip_traces_dropped_total", "job")]),
    ),
)
