"""Subtitles, sources, what all of it costs, and HTTP."""

from tools.monitoring.grafana import Panel, Query, Row
from tools.monitoring.queries import RATE, a_minute, a_second, in_range, most, p95, quantile, selected, total
from tools.monitoring.rows.machinery import CPU

_ASKED = '{route!~"/metrics|/readyz|/healthz"}'
_AT_ONCE = '{route!~"/metrics|/readyz|/healthz|.*/events"}'
_DONE = f"sum(rate({selected('clip_jobs_finished_total')}{RATE}))"

SUBTITLES = Row(
    "Subtitles",
    (
        Panel(
            "Transcription, p50 and p95",
            "By provider, with the wait for a recogniser.",
            "s",
            [quantile(0.5, "clip_asr_seconds", "provider"), quantile(0.95, "clip_asr_seconds", "provider")],
        ),
        Panel(
            "Sound transcribed",
            "Seconds of sound in a second. A provider is paid by it.",
            "short",
            [a_second("clip_asr_audio_seconds_total", "provider")],
        ),
        Panel(
            "Reused, failed, taken over, a minute",
            "Transcripts that were there already; transcriptions that failed; those that the local model took over.",
            "cpm",
            [
                a_minute("clip_asr_reused_total", "provider", "reused {{provider}}"),
                a_minute("clip_asr_errors_total", "provider, code"),
                a_minute("clip_asr_fallbacks_total", "reason", "taken over: {{reason}}"),
            ],
        ),
    ),
)

SOURCES = Row(
    "Sources",
    (
        Panel(
            "Visits to sites, a minute",
            "By outcome: ok, or the code of the error.",
            "cpm",
            [a_minute("clip_source_visits_total", "outcome")],
            stacked=True,
        ),
        Panel(
            "Shared, a minute",
            "Jobs by URL whose source another job had fetched.",
            "cpm",
            [a_minute("clip_source_shared_total", name="shared")],
        ),
        Panel("Upload, p95", "By way: through the API, or direct to S3.", "s", [p95("clip_upload_seconds", "way")]),
        Panel("Uploaded", "By way.", "Bps", [a_second("clip_upload_bytes_total", "way")]),
        Panel("From sites", "Pages and manifests included.", "Bps", [a_second("clip_source_fetched_bytes_total", name="from sites")]),
        Panel(
            "Read for cutting",
            "Of sources in S3: it follows the clips' lengths, not the sources'.",
            "Bps",
            [a_second("clip_source_read_bytes_total", name="read")],
        ),
    ),
)

COST = Row(
    "What it costs",
    (
        Panel("CPU seconds a job", "Of all services, for each job that ended.", "s", [Query(f"sum({CPU}) / ({_DONE} > 0)", "a job")]),
        Panel("S3 traffic", "Bytes of objects, to S3 and from it.", "Bps", [a_second("clip_storage_bytes_total", "direction")]),
        Panel("S3 requests", "By operation.", "reqps", [a_second("clip_storage_requests_total", "operation")], stacked=True),
        Panel(
            "In the time shown: sound sent",
            "Seconds of sound that each provider transcribed.",
            "s",
            [in_range("clip_asr_audio_seconds_total", "provider")],
            "bargauge",
        ),
        Panel(
            "In the time shown: bytes",
            "From sites, for cutting, and to and from S3.",
            "bytes",
            [
                in_range("clip_source_fetched_bytes_total", name="from sites"),
                in_range("clip_source_read_bytes_total", name="read for cutting"),
                in_range("clip_storage_bytes_total", "direction", "S3 {{direction}}"),
            ],
            "bargauge",
        ),
        Panel(
            "In the time shown: CPU",
            "Seconds, ended children included.",
            "s",
            [
                Query(f"sum by (job) (increase({selected('process_cpu_seconds_total')}[$__range]))"),
                Query(f"sum by (job) (increase({selected('clip_children_cpu_seconds_total')}[$__range]))", "{{job}} children"),
            ],
            "bargauge",
        ),
    ),
)

HTTP = Row(
    "HTTP and webhooks",
    (
        Panel("Requests", "By route.", "reqps", [a_second(f"clip_http_requests_total{_ASKED}", "method, route")]),
        Panel(
            "Latency, p95",
            "To the end of the answer, which an upload delays; without live events.",
            "s",
            [p95(f"clip_http_request_seconds{_AT_ONCE}", "method, route")],
        ),
        Panel("Refused, a minute", "By code of the error.", "cpm", [a_minute("clip_http_problems_total", "code")], stacked=True),
        Panel("Webhook attempts, a minute", "By what followed.", "cpm", [a_minute("clip_webhook_attempts_total", "outcome")], stacked=True),
        Panel("Webhook attempts, p95", "Time of an attempt.", "s", [p95("clip_webhook_seconds", name="an attempt")]),
        Panel(
            "Live followers, webhooks to come",
            "Open streams of events, and webhooks that are not delivered yet.",
            "short",
            [total("clip_event_streams", name="followers"), most("clip_webhooks_pending", name="webhooks")],
        ),
    ),
)
