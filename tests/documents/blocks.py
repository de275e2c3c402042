"""The fenced blocks of our documents, and a shell that runs them as a reader pastes them: one after the other, in one folder."""

import asyncio
import json
import os
import re
import shlex
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

ROOT = Path(__file__).parents[2]
FENCE = re.compile(r"^```([a-z]*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
HEADING = re.compile(r"^##* (.+)$", re.MULTILINE)
SHELLS = ("bash", "sh", "console", "")
"""A block that names no language is commands too: readers paste it."""
MARK = "\x1e"


@dataclass(frozen=True, slots=True)
class Block:
    """`place`: from 1, in its document. `heading`: the last one above it."""

    document: str
    place: int
    heading: str
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.document}-{self.place}"

    @property
    def commands(self) -> list[str]:
        """Of a transcript, what is typed."""
        return [line[2:] for line in self.text.splitlines() if line.startswith("$ ")]


def documents() -> list[str]:
    return ["README.md", *sorted(f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md"))]


def prose(document: str) -> str:
    """The document without its blocks."""
    return FENCE.sub("", (ROOT / document).read_text())


def blocks_of(document: str, *languages: str) -> list[Block]:
    """In their order; of these languages, if any are named."""
    found = _blocks(document, (ROOT / document).read_text())
    return [block for block in found if not languages or block.language in languages]


def _blocks(document: str, text: str) -> Iterator[Block]:
    for place, fence in enumerate(FENCE.finditer(text), 1):
        headings = HEADING.findall(FENCE.sub("", text[: fence.start()]))
        yield Block(document, place, headings[-1] if headings else "", fence[1], fence[2])


async def pasted(blocks: list[Block], folder: Path, environ: Mapping[str, str], *, seconds: float = 60, pipefail: bool = True) -> list[str]:
    """What each block prints. One shell runs them all and stops at the first command that fails, which fails the test.

    Python blocks are run by this interpreter; what is not run (JSON, YAML, what a terminal showed) prints nothing.
    Without `pipefail` a pipe fails with its last command alone: for `tail | head`.
    """
    script = f"set -eu {'-o pipefail' if pipefail else ''}\n" + "".join(f"{_step(block, folder)}\nprintf '{MARK}'\n" for block in blocks)
    with TemporaryFile() as out, TemporaryFile() as problems:
        code = await _ended(script, folder, environ, seconds, (out, problems))
        outputs, said = _read(out).split(MARK), _read(problems)
    why = f"failed with {code}" if code else "does not end"
    assert code == 0, f"{blocks[len(outputs) - 1]} {why}:\n{outputs[-1][-2000:]}\n{said[-4000:]}"
    return outputs[:-1]


async def _ended(script: str, folder: Path, environ: Mapping[str, str], seconds: float, to: tuple[IO[bytes], IO[bytes]]) -> int | None:
    """The shell's exit status; None when its time was up. What it leaves in the background ends with it."""
    shell = await asyncio.create_subprocess_exec(
        *("bash", "-c", script),
        cwd=folder,
        env=environ,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=to[0],
        stderr=to[1],
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(seconds):
            return await shell.wait()
    except TimeoutError:
        return None
    finally:
        with suppress(ProcessLookupError):
            os.killpg(shell.pid, signal.SIGKILL)
        await shell.wait()


def _read(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")


def _step(block: Block, folder: Path) -> str:
    match block.language:
        case "console":
            return "\n".join(block.commands)
        case "python":
            (folder / f"block-{block.place}.py").write_text(block.text)
            return f"{shlex.quote(sys.executable)} block-{block.place}.py"
        case language if language in SHELLS:
            return block.text
        case _:
            return ":"


def is_shown(wanted: object, got: object) -> bool:
    """Whether a document may show `wanted` where `got` is the answer: the same fields, or some of them, of the same kinds.

    Of a list, each member shown is like one of the answer's. Names of states and codes, in capitals or lower case, are compared.
    """
    match wanted, got:
        case dict(), dict():
            return all(name in got and is_shown(value, got[name]) for name, value in wanted.items())
        case list(), list():
            return all(any(is_shown(one, other) for other in got) for one in wanted)
        case str(), str():
            return wanted == got or not re.fullmatch(r"[a-z]+|[A-Z_]+", wanted)
        case (bool(), _) | (_, bool()):
            return wanted is got
        case int() | float(), int() | float():
            return True
        case _:
            return wanted == got


def last_answer(printed: str) -> object:
    """The last JSON among the lines."""
    return json.loads([line for line in printed.splitlines() if line.startswith("{")][-1])
