"""A job followed to its end, and what Ctrl-C does meanwhile."""

import time
from collections.abc import Callable, Sequence

from clipstream import Clipstream
from clipstream.cli.exits import Exit
from clipstream.cli.progress import Stands
from clipstream.cli.terminal import Terminal
from clipstream.cli.words import after, standing_of
from clipstream.errors import ClipstreamError, Conflict
from clipstream.models import Event, Job

OUTLOOK_SECONDS = 2.0
"""Between two looks at how long it may take."""
LONGEST_PAUSE = 1.0


def followed(client: Clipstream, job_id: str, stands: Stands) -> Job:
    """The job, done. Raises JobFailed and JobCancelled."""
    job = _past_the_queue(client, job_id, stands)
    return client.wait(job_id, on_event=_telling(client, job, stands))


def _past_the_queue(client: Clipstream, job_id: str, stands: Stands) -> Job:
    """Of its place there is no event: it is asked for."""
    pause = 0.1
    while (job := client.job(job_id)).status == "queued":
        stands(standing_of(job))
        time.sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE)
    stands(standing_of(job))
    return job


def _telling(client: Clipstream, seen: Job, stands: Stands) -> Callable[[Event], None]:
    """With each event that is news, and now and then with how long it may take, which no event tells."""
    standing, looked = standing_of(seen), time.monotonic()

    def on_event(event: Event) -> None:
        nonlocal standing, looked
        if seen.updated_at and event.ts <= seen.updated_at:
            return
        if time.monotonic() - looked > OUTLOOK_SECONDS:
            standing, looked = standing_of(client.job(seen.id)), time.monotonic()
        stands(standing := after(standing, event.job))

    return on_event


def interrupted(terminal: Terminal, client: Clipstream, jobs: Sequence[str]) -> Exit:
    """Ctrl-C: cancel what runs, or leave it running? A second Ctrl-C here ends the command at once."""
    running = [job_id for job_id in jobs if _may_run(client, job_id)]
    what = "the job" if len(running) == 1 else f"{len(running)} jobs"
    if running and terminal.can_ask and terminal.ask(f"cancel {what}? [y/N]") in {"y", "yes"}:
        for job_id in running:
            _cancelled(terminal, client, job_id)
        return Exit.INTERRUPTED
    tell_way_back(terminal, f"left {what} running:" if running else "the files are not all fetched:", jobs, running)
    return Exit.INTERRUPTED


def tell_way_back(terminal: Terminal, words: str, jobs: Sequence[str], running: Sequence[str]) -> None:
    """How to come to the files of jobs that this command leaves."""
    terminal.say(words)
    for job_id in jobs:
        if job_id in running:
            terminal.say(f"clipstream status {job_id} --watch")
        terminal.say(f"clipstream download {job_id}")


def _may_run(client: Clipstream, job_id: str) -> bool:
    try:
        return not client.job(job_id).is_over
    except ClipstreamError:
        return True


def _cancelled(terminal: Terminal, client: Clipstream, job_id: str) -> None:
    try:
        client.cancel(job_id)
        terminal.say(f"{job_id}: cancelled")
    except Conflict:
        terminal.say(f"{job_id}: it was over already")
