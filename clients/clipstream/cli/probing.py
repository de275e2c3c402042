"""`clipstream probe`: what a video holds, and whether it would be cut."""

from collections.abc import Iterator
from pathlib import Path

import click

from clipstream import Clipstream, Probe, Upload
from clipstream.cli.exits import Exit
from clipstream.cli.names import is_url
from clipstream.cli.options import connected, examples
from clipstream.cli.plain import size
from clipstream.cli.progress import transfer
from clipstream.cli.terminal import Terminal
from clipstream.cli.times import clock


@click.command("probe", epilog=examples("clipstream probe talk.mp4", "clipstream probe https://example.com/watch/17 --json | jq .duration"))
@click.argument("source", metavar="VIDEO_OR_URL")
@connected
def probe_command(*, terminal: Terminal, client: Clipstream, source: str) -> Exit:
    """Say what a video holds, without cutting: duration, size, tracks. A file is uploaded first; `cut` uses the same upload.

    The exit code is 3 where a job on it would be refused.
    """
    found = client.probe(source if is_url(source) else _uploaded(terminal, client, Path(source)))
    if terminal.as_json:
        terminal.document(found)
    else:
        terminal.facts(_facts_of(found))
    return Exit.DONE if found.accepted else Exit.FAILED


def _uploaded(terminal: Terminal, client: Clipstream, file: Path) -> Upload:
    with transfer(terminal, f"uploading {file.name}", then=f"the server takes in {file.name}") as moved:
        return client.upload(file, progress=moved)


def _facts_of(found: Probe) -> Iterator[tuple[str, str]]:
    if found.title:
        yield "title", found.title
    if found.duration is not None:
        yield "duration", clock(found.duration)
    if found.size is not None:
        yield "size", size(found.size)
    if found.container:
        yield "container", found.container
    if found.video:
        yield "video", f"{found.video.codec}, {found.video.width}x{found.video.height}, {found.video.frame_rate:g} frames a second"
    if found.audio:
        yield "sound", f"{found.audio.codec}, {found.audio.sample_rate} Hz, {found.audio.channels} channels"
    yield "can be cut", "no: " + found.refusal.message if found.refusal else "yes"
    if found.refusal:
        yield "hint", found.refusal.hint
