"""`clipstream cut`: a video and a range in, files out. Upload, job, download, in one command."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import click

from clipstream import Clipstream, Job, JobOptions, Upload
from clipstream.cli.downloading import as_text, fetched, file_name, tell_files
from clipstream.cli.exits import Exit
from clipstream.cli.following import followed, interrupted, tell_way_back
from clipstream.cli.names import is_url, numbered, stem_of
from clipstream.cli.options import Connection, connecting, examples, output_folder
from clipstream.cli.progress import job_progress, transfer
from clipstream.cli.terminal import Terminal
from clipstream.cli.times import ACCEPTED_RANGE, Range, range_in, range_of
from clipstream.cli.words import begins_elsewhere
from clipstream.errors import ClipstreamError, JobCancelled, JobFailed

PRESETS = click.Choice(["720p", "1080p", "vertical", "audio", "gif"])
STYLES = click.Choice(["default", "bold", "boxed", "karaoke"])
EXAMPLES = examples(
    "clipstream cut talk.mp4 1:02:03.5 1:02:20",
    "clipstream cut talk.mp4 10:15 +30 --subs --burn",
    "clipstream cut talk.mp4 '*10:15-15:30' -o clips",
    "clipstream cut talk.mp4 --segment 0:10-0:20 --segment 1:00-1:10 --joined",
    "clipstream cut https://example.com/watch/17 90 2m --preset vertical",
    "clipstream cut talk.mp4 10 20 --json | jq -r .clips[0].files.video",
)


@dataclass(frozen=True, slots=True)
class Wish:
    """What to make of what. Without `joined` each range is a clip."""

    video: str
    ranges: tuple[Range, ...]
    joined: bool
    options: JobOptions
    folder: Path
    name: str | None

    @property
    def clips(self) -> list[tuple[Range, ...]]:
        return [self.ranges] if self.joined else [(part,) for part in self.ranges]

    def stem(self, number: int, job_id: str) -> str:
        """Of the clip with this number, from 1."""
        if self.name:
            return numbered(self.name, number, len(self.clips))
        return stem_of(self.video, self.clips[number - 1], job_id)


def ranges_of(start: str | None, end: str | None, segments: tuple[str, ...]) -> tuple[Range, ...]:
    """Of the words after the video, or of --segment. Raises UsageError, which shows what is accepted."""
    try:
        if segments and start is None:
            return tuple(map(range_in, segments))
        if start is not None and not segments:
            return (range_of(start, end) if end is not None else range_in(start),)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    problem = "name ranges after the video or by --segment, not both" if segments else "say which part: START and END, or a range"
    raise click.UsageError(f"{problem}; {ACCEPTED_RANGE}")


@click.command("cut", epilog=EXAMPLES)
@click.argument("video", metavar="VIDEO_OR_URL")
@click.argument("start", required=False)
@click.argument("end", required=False)
@click.option("--segment", "segments", multiple=True, metavar="RANGE", help="A range, as 0:10-0:20; repeat it for a clip of each.")
@click.option("--joined", is_flag=True, help="One clip in which the segments follow each other.")
@click.option("--subs", is_flag=True, help="Subtitles too: SRT, WebVTT, text and JSON.")
@click.option("--burn", is_flag=True, help="Also a copy with the subtitles in the picture (implies --subs).")
@click.option("--style", type=STYLES, help="How burned subtitles look (implies --burn).")
@click.option("--lang", metavar="CODE", help="The spoken language (en, de, …), else it is recognised (implies --subs).")
@click.option("--translate", is_flag=True, help="Subtitles in English, whatever is spoken (implies --subs).")
@click.option("--preset", "presets", type=PRESETS, multiple=True, help="Also the clip in this form; repeatable.")
@click.option("--fast", is_flag=True, help="Begin at the keyframe at or before START: nothing is encoded anew.")
@click.option("--priority", type=click.Choice(["fast", "normal", "bulk"]), help="Which queue it waits in.")
@click.option("-o", "--output", type=click.Path(file_okay=False), metavar="DIR", help="Where the files go (else here).")
@click.option("--name", callback=file_name, metavar="STEM", help="What the files are called, without an ending.")
@click.option("--detach", is_flag=True, help="Print the job's id and end; it goes on without this command.")
@connecting
def cut_command(*, connection: Connection, detach: bool, **given: Any) -> Exit:
    """Cut the part from START to END out of a video file or a URL, and fetch it.

    \b
    Times: 90, 90s, 1:30, 1:02:03.5, 1m30s, 1h2m. END may be a length: +30.
    The files' names are printed when they are there.
    """
    wish, terminal = _wish(given), connection.terminal
    with connection.opened(starts=True) as client:
        jobs = _created(terminal, client, wish)
        if not detach:
            return _finished(terminal, client, wish, jobs)
    if terminal.as_json:
        terminal.document({"jobs": jobs})
    else:
        for job in jobs:
            terminal.give(job.id)
    return Exit.DONE


def check_file(video: str) -> None:
    """Raises UsageError for what is no file; what comes out of a pipe can't be sent in parts."""
    if not Path(video).exists():
        raise click.UsageError(f"there is no file {video}")
    if not Path(video).is_file():
        raise click.UsageError(f"{video} is {'a folder' if Path(video).is_dir() else 'no ordinary file: save it as one first'}")


def _wish(given: dict[str, Any]) -> Wish:
    ranges = ranges_of(given["start"], given["end"], given["segments"])
    if not is_url(given["video"]):
        check_file(given["video"])
    folder = Path(output_folder(given["output"]))
    return Wish(given["video"], ranges, given["joined"] and len(ranges) > 1, _options(given), folder, given["name"])


def _options(given: dict[str, Any]) -> JobOptions:
    """Only what was asked for: the rest is the server's to choose."""
    burns = given["burn"] or bool(given["style"])
    options = {
        "with_subtitles": given["subs"] or burns or bool(given["lang"]) or given["translate"],
        "burn_subtitles": burns,
        "subtitle_style": given["style"],
        "subtitle_lang": given["lang"],
        "subtitle_task": "translate" if given["translate"] else None,
        "presets": given["presets"],
        "accuracy": "fast" if given["fast"] else None,
        "priority": given["priority"],
    }
    return cast("JobOptions", {name: value for name, value in options.items() if value})


def _created(terminal: Terminal, client: Clipstream, wish: Wish) -> list[Job]:
    source = wish.video if is_url(wish.video) else _uploaded(terminal, client, Path(wish.video))
    try:
        if wish.joined:
            return [client.create(source, segments=wish.ranges, joined=True, **wish.options)]
        if len(wish.ranges) > 1:
            return client.create_many(source, wish.ranges, **wish.options)
        return [client.create(source, *wish.ranges[0], **wish.options)]
    except KeyboardInterrupt:
        terminal.say("interrupted while the job was ordered: `clipstream list` shows whether it was")
        raise


def _uploaded(terminal: Terminal, client: Clipstream, file: Path) -> Upload:
    try:
        with transfer(terminal, f"uploading {file.name}", then=f"the server takes in {file.name}") as moved:
            return client.upload(file, progress=moved)
    except KeyboardInterrupt:
        terminal.say("the upload was interrupted; the same command again goes on where it stopped")
        raise


def _finished(terminal: Terminal, client: Clipstream, wish: Wish, jobs: list[Job]) -> Exit:
    """All followed and fetched; one that failed does not keep the others from it. Raises the first failure, at the end."""
    clips, failures = [], []
    try:
        for number, job in enumerate(jobs, 1):
            label = f"clip {number} of {len(jobs)}: " if len(jobs) > 1 else ""
            over, failure = _ended(terminal, client, job.id, label)
            files = {} if failure else fetched(terminal, client, job.id, wish.folder, wish.stem(number, job.id))
            _tell(terminal, over, files, label)
            clips.append({"job": over, "files": as_text(files)})
            failures += [failure] if failure else []
    except KeyboardInterrupt:
        return interrupted(terminal, client, [job.id for job in jobs[len(clips) :]])
    except (ClipstreamError, OSError):
        left = [job.id for job in jobs[len(clips) :]]
        tell_way_back(terminal, "the files are not all fetched; once that is mended:", left, ())
        raise
    if terminal.as_json:
        terminal.document({"clips": clips})
    if failures:
        raise failures[0]
    return Exit.DONE


def _ended(terminal: Terminal, client: Clipstream, job_id: str, label: str) -> tuple[Job, JobFailed | JobCancelled | None]:
    try:
        with job_progress(terminal, label) as stands:
            return followed(client, job_id, stands), None
    except (JobFailed, JobCancelled) as failure:
        return failure.job, failure


def _tell(terminal: Terminal, job: Job, files: dict[str, Path], label: str) -> None:
    """What a person wants to know of it, then where it is."""
    for warning in job.warnings:
        terminal.say(f"{label}warning: {warning.message}", style="yellow")
    if job.error and label:
        terminal.say(f"{label}failed: {job.error.message}", style="red")
    if job.is_done and (elsewhere := begins_elsewhere(job)):
        terminal.say(label + elsewhere)
    if not terminal.as_json:
        tell_files(terminal, files)
