"""What clients get: jobs, how many end well, how long they take, and what the stages do for them."""

from tools.monitoring.grafana import Panel, Query, Row, too_high, too_low
from tools.monitoring.queries import RATE, a_minute, in_range, most, p95, quantile, selected

_ENDED = selected('clip_jobs_finished_total{outcome=~"done|failed"}')
_DONE = selected('clip_jobs_finished_total{outcome="done"}')
# What is divided by nothing is NaN, and ">= 0" leaves that out: then the panel says that there is none yet.
SUCCESS = Query(f"sum(increase({_DONE}[$__range])) / sum(increase({_ENDED}[$__range])) >= 0", "done")
_IN_ALL = selected('clip_job_seconds_count{outcome="done",priority!="bulk"}')


def _within(seconds: str, subtitles: str, window: str) -> str:
    bucket = selected(f'clip_job_seconds_bucket{{outcome="done",priority!="bulk",subtitles="{subtitles}",le="{seconds}"}}')
    return f"(sum(rate({bucket}{window})) or vector(0))"


def _kept(window: str) -> str:
    """The share of jobs done within what is promised: 30 s, and 90 s with subtitles."""
    return f"({_within('30.0', 'none', window)} + {_within('90.0', 'asked', window)}) / sum(rate({_IN_ALL}{window})) >= 0"


def _overall(share: float) -> Query:
    bucket = selected('clip_job_seconds_bucket{outcome="done"}')
    return Query(f"histogram_quantile({share}, sum by (le) (rate({bucket}[$__range]))) >= 0", f"p{share * 100:g}")


AT_A_GLANCE = Row(
    "In the time shown",
    (
        Panel("Jobs taken on", "Requests that became jobs.", "short", [in_range("clip_jobs_created_total")], "stat"),
        Panel(
            "Jobs done",
            "With everything that was asked for, or all but optional subtitles.",
            "short",
            [in_range(f'{"clip_jobs_finished_total"}{{outcome="done"}}')],
            "stat",
        ),
        Panel(
            "Success",
            "Done, of those that ended done or failed. Faults of sources and requests count here.",
            "percentunit",
            [SUCCESS],
            "stat",
            too_low(0.5, 0.9),
        ),
        Panel(
            "Kept promises",
            "Jobs done within 30 s, or 90 s with subtitles. Objective: 95 %.",
            "percentunit",
            [Query(_kept("[$__range]"), "kept")],
            "stat",
            too_low(0.9, 0.95),
        ),
        Panel("p50", "Half of the jobs are done within this.", "s", [_overall(0.5)], "stat", too_high(30, 90)),
        Panel("p95", "19 of 20 jobs are done within this.", "s", [_overall(0.95)], "stat", too_high(30, 90)),
        Panel("Open now", "Jobs that are not over yet.", "short", [most("clip_jobs_open")], "stat", nothing="unknown"),
        Panel(
            "Oldest open",
            "How long the oldest open job has run.",
            "s",
            [most("clip_job_oldest_seconds")],
            "stat",
            too_high(600, 7200),
            nothing="unknown",
        ),
    ),
)

JOBS = Row(
    "Jobs",
    (
        Panel(
            "Taken on, a minute", "By source and priority.", "cpm", [a_minute("clip_jobs_created_total", "source, priority")], stacked=True
        ),
        Panel("Ended, a minute", "By outcome.", "cpm", [a_minute("clip_jobs_finished_total", "outcome")], stacked=True),
        Panel(
            "Given up, by code",
            "In the time shown: why stages were given up.",
            "short",
            [in_range("clip_dead_letters_total", "code")],
            "bargauge",
            nothing="none",
        ),
        Panel(
            "From request to done",
            "p50 and p95, without subtitles (none) and with (asked).",
            "s",
            [
                quantile(0.5, 'clip_job_seconds{outcome="done"}', "subtitles"),
                quantile(0.95, 'clip_job_seconds{outcome="done"}', "subtitles"),
            ],
        ),
        Panel(
            "Kept promises",
            "The share of jobs done within 30 s, or 90 s with subtitles. Objective: 95 %.",
            "percentunit",
            [Query(_kept(RATE), "kept")],
            limits=too_low(0.9, 0.95),
            most=1,
        ),
        Panel("Events, a minute", "Facts written, by type.", "cpm", [a_minute("clip_events_total", "type")]),
    ),
)

STAGES = Row(
    "Stages",
    (
        Panel(
            "Time of a stage, p50",
            "From its start to its verdict, of attempts that went on.",
            "s",
            [quantile(0.5, 'clip_stage_seconds{verdict="Advance"}', "stage", "{{stage}}")],
        ),
        Panel(
            "Time of a stage, p95",
            "From its start to its verdict, of attempts that went on.",
            "s",
            [p95('clip_stage_seconds{verdict="Advance"}', "stage")],
        ),
        Panel(
            "Wait for a stage, p95",
            "From an event to the start of the stage that it is for.",
            "s",
            [p95("clip_stage_wait_seconds", "stage")],
        ),
        Panel(
            "Cuts, a minute",
            "By the path taken: copied, a few frames encoded, all encoded, or a fall-back.",
            "cpm",
            [a_minute("clip_cuts_total", "path")],
            stacked=True,
        ),
        Panel("Why that path", "In the time shown.", "short", [in_range("clip_cuts_total", "path, reason")], "table"),
        Panel("Verdicts, a minute", "How attempts ended.", "cpm", [a_minute("clip_stage_seconds_count", "stage, verdict")], stacked=True),
    ),
)
