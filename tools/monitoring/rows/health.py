"""The operator's first look: is it well? And the queues and failures that say where it is not."""

from tools.monitoring.grafana import Panel, Query, Row, too_high, too_low
from tools.monitoring.queries import a_minute, most, p95, total

_FIRING = Query('count(ALERTS{alertstate="firing",alertname=~"Clipstream.+"}) or vector(0)', "firing")
_LIVING = Query('count(sum by (job) (up{job=~"clipstream-.+"}) > 0)', "of 5")
_REACHED = Query("avg(clip_dependency_up{$here})", "up")
_WRITABLE = Query("min(max by (stream) (clip_canary_up{$here}))", "writable")
_WAITING = "sum(max by (stage, lane) (clip_queue_pending{$here})) + sum(max by (stage, lane) (clip_queue_ack_pending{$here}))"
_STUCK = Query(f"clamp_min(max(clip_jobs_silent{{$here}}) - ({_WAITING}), 0)", "stuck")
_UNKNOWN = "unknown"

WELL = Row(
    "Is it well?",
    (
        Panel(
            "Alerts",
            "Alerts of this repository that fire now. Each has its section in the runbook.",
            "short",
            [_FIRING],
            "stat",
            too_high(1, 3),
        ),
        Panel("Services", "Of the five, those with a process that answers.", "short", [_LIVING], "stat", too_low(4, 5), nothing="0"),
        Panel(
            "Dependencies",
            "The share of all processes' dependencies (Postgres, NATS, S3) that answer.",
            "percentunit",
            [_REACHED],
            "stat",
            too_low(0.5, 1),
            nothing=_UNKNOWN,
        ),
        Panel(
            "Streams",
            "The canary's writes: 1 is confirmed; 0 means that a stream takes no writes.",
            "short",
            [_WRITABLE],
            "stat",
            too_low(1, 1),
            nothing=_UNKNOWN,
        ),
        Panel(
            "Oldest message",
            "Of the fast and normal lanes. From 10 min on it has missed every promise.",
            "s",
            [most('clip_queue_oldest_seconds{lane!="bulk"}')],
            "stat",
            too_high(120, 600),
            nothing=_UNKNOWN,
        ),
        Panel(
            "Stuck jobs",
            "Silent past their stage's deadline, more than wait in the queues.",
            "short",
            [_STUCK],
            "stat",
            too_high(1, 5),
            nothing=_UNKNOWN,
        ),
        Panel(
            "Dead letters",
            "They wait in the stream DLQ for somebody to replay or discard them.",
            "short",
            [most("clip_dead_letters_waiting")],
            "stat",
            too_high(10, 200),
            nothing=_UNKNOWN,
        ),
        Panel(
            "Back-pressure",
            "1 while the API refuses new jobs.",
            "short",
            [most("clip_backpressure")],
            "stat",
            too_high(None, 1),
            nothing="0",
        ),
    ),
)

QUEUES = Row(
    "Queues",
    (
        Panel(
            "Messages that wait",
            "By stage and lane. From 500 in all (WORKER_QUEUE_HIGH_WATERMARK) the API refuses new jobs.",
            "short",
            [most("clip_queue_pending", "stage, lane")],
            stacked=True,
        ),
        Panel(
            "Age of the oldest message",
            "With those in hand. Alerts: fast 2 min, normal 10 min, bulk 2 h.",
            "s",
            [most("clip_queue_oldest_seconds", "stage, lane")],
        ),
        Panel(
            "In hand or waiting for another try",
            "Messages that a worker has, or that come back after the pause of a retry.",
            "short",
            [most("clip_queue_ack_pending", "stage, lane")],
            stacked=True,
        ),
        Panel(
            "Worked on",
            "By stage; at most WORKER_MAX_CONCURRENCY in a process.",
            "short",
            [total("clip_stage_in_flight", "stage")],
            stacked=True,
        ),
        Panel(
            "Wait for a stage, p95",
            "From an event to the start of the stage that it is for.",
            "s",
            [p95("clip_stage_wait_seconds", "stage")],
        ),
        Panel(
            "Open jobs",
            "Jobs that are not over yet, and those among them that have long been silent: in a queue, or stuck.",
            "short",
            [most("clip_jobs_open", name="open"), most("clip_jobs_silent", name="silent")],
        ),
    ),
)

FAILURES = Row(
    "Failures, a minute",
    (
        Panel("Retries", "Attempts that ended in another try.", "cpm", [a_minute("clip_retries_total", "stage, code")], stacked=True),
        Panel(
            "Dead letters that came",
            "Stages given up. SOURCE_UNREADABLE, RANGE_OUTSIDE_SOURCE and their like are faults of a request.",
            "cpm",
            [a_minute("clip_dead_letters_total", "stage, code")],
            stacked=True,
        ),
        Panel(
            "Mended, replayed, discarded",
            "Lost messages published again, advisories handled, and what operators did with dead letters.",
            "cpm",
            [
                a_minute("clip_reconciled_total", "stage", "lost for {{stage}}"),
                a_minute("clip_advisories_total", "kind", "advisory: {{kind}}"),
                a_minute("clip_replays_total", "outcome"),
                a_minute("clip_dead_letters_discarded_total", name="discarded"),
            ],
        ),
    ),
)
