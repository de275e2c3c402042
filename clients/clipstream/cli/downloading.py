"""`clipstream download`, and how every command fetches a job's files."""

from pathlib import Path

import click

from clipstream import Clipstream
from clipstream.cli.names import LONGEST_NAME, is_name, stem_of_job
from clipstream.cli.options import connected, examples, output_folder
from clipstream.cli.progress import transfer
from clipstream.cli.terminal import Terminal
from clipstream.errors import JobCancelled, JobFailed

FILES = ("video", "burned_video", "srt", "vtt", "text", "json", "thumbnail", "720p", "1080p", "vertical", "audio", "gif")


def fetched(terminal: Terminal, client: Clipstream, job_id: str, folder: Path, name: str, only: tuple[str, ...] = ()) -> dict[str, Path]:
    """The files by what they are."""
    with transfer(terminal, "downloading") as moved:
        return client.download(job_id, folder, name=name, only=only or None, progress=moved)


def file_name(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    """For --name. Raises BadParameter for what would lie in another folder."""
    if value is not None and not is_name(value):
        raise click.BadParameter(f"it names files, not folders (-o is for those), in {LONGEST_NAME} bytes at most")
    return value


@click.command(
    "download",
    epilog=examples(
        "clipstream download 5f0c2a1e-…",
        "clipstream download 5f0c2a1e-… -o clips --name goal",
        "clipstream download 5f0c2a1e-… --only video --only srt",
    ),
)
@click.argument("job_id", metavar="ID")
@click.option("-o", "--output", type=click.Path(file_okay=False), metavar="DIR", help="Where the files go (else here).")
@click.option("--name", callback=file_name, metavar="STEM", help="What the files are called, without an ending.")
@click.option("--only", type=click.Choice(FILES), multiple=True, help="Only this file; repeatable.")
@connected
def download_command(
    *, terminal: Terminal, client: Clipstream, job_id: str, output: str | None, name: str | None, only: tuple[str, ...]
) -> None:
    """Fetch a finished job's files. What broke off goes on where it stopped."""
    job = client.job(job_id)
    if job.status == "failed":
        raise JobFailed(job)
    if job.status == "cancelled":
        raise JobCancelled(job)
    files = fetched(terminal, client, job.id, Path(output_folder(output)), name or stem_of_job(job.id), only)
    if terminal.as_json:
        terminal.document({"job": job, "files": as_text(files)})
    else:
        tell_files(terminal, files)


def as_text(files: dict[str, Path]) -> dict[str, str]:
    return {what: str(path) for what, path in files.items()}


def tell_files(terminal: Terminal, files: dict[str, Path]) -> None:
    for path in files.values():
        terminal.give(str(path))
