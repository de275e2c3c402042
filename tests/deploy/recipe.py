"""deploy/images/Dockerfile as data: its stages, what a target is made of, and which files of the checkout it gets."""

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

from tools.setup import ROOT

DOCKERFILE = ROOT / "deploy" / "images" / "Dockerfile"
WORKDIR = "/app/"
SERVICES = ("api", "resolver", "clipper", "asr", "janitor")
TARGETS = (*SERVICES, "asr-tiny-en", "tools")
_CONTINUED = re.compile(r"\\\n\s*(?:#[^\n]*\n\s*)*")


@dataclass(frozen=True)
class Stage:
    name: str
    base: str
    instructions: list[tuple[str, str]] = field(default_factory=list)

    def all(self, verb: str) -> list[str]:
        return [text for found, text in self.instructions if found == verb]


@dataclass(frozen=True)
class Copied:
    """One COPY: `source` in the stage `of`, or in the checkout where that is None."""

    of: str | None
    source: str
    target: str


@cache
def stages() -> dict[str, Stage]:
    found: dict[str, Stage] = {}
    for verb, text in _instructions(DOCKERFILE.read_text()):
        if verb == "FROM":
            base, _, name = text.split()
            found[name] = stage = Stage(name, base)
        elif found:
            stage.instructions.append((verb, text))
    return found


def _instructions(text: str) -> Iterator[tuple[str, str]]:
    for line in _CONTINUED.sub("", text).splitlines():
        if line.strip() and not line.startswith("#"):
            verb, _, rest = line.partition(" ")
            yield verb, rest.strip()


def chain(target: str) -> list[Stage]:
    """The stages that the target is made of, the lowest first."""
    stage = stages()[target]
    return [*(chain(stage.base) if stage.base in stages() else []), stage]


def last(target: str, verb: str) -> str:
    """What holds in the end."""
    return [text for stage in chain(target) for text in stage.all(verb)][-1]


def entry(target: str) -> list[str]:
    words: list[str] = json.loads(last(target, "ENTRYPOINT"))
    return words


def command(target: str) -> list[str]:
    words: list[str] = json.loads(last(target, "CMD"))
    return words


def health_check(target: str) -> list[str]:
    words: list[str] = json.loads(last(target, "HEALTHCHECK").partition(" CMD ")[2])
    return words


def pairs(target: str, verb: str) -> dict[str, str]:
    """What ENV or LABEL sets in the end."""
    words = [word for stage in chain(target) for text in stage.all(verb) for word in shlex.split(text)]
    return dict(word.split("=", 1) for word in words)


def copies(target: str) -> list[Copied]:
    return [_copied(text) for stage in chain(target) for text in stage.all("COPY")]


def _copied(text: str) -> Copied:
    words = text.split()
    of = words.pop(0).removeprefix("--from=") if words[0].startswith("--from=") else None
    [source, to] = words
    return Copied(of, source, f"{to}{Path(source).name}" if to.endswith("/") else to)


def ours(target: str) -> dict[str, str]:
    """From path in the checkout to path in the image's working directory: files and folders."""
    ours = (one for one in copies(target) if one.of in {None, "code"})
    return {one.source.removeprefix(WORKDIR) if one.of else one.source: one.target for one in ours}


def lock_file(target: str) -> Path:
    """What the target's /venv is made from."""
    [packages] = [one.of for one in copies(target) if one.source == "/venv"]
    assert packages
    [name] = [_copied(text).source for text in stages()[packages].all("COPY")]
    return ROOT / name


def files(target: str) -> dict[Path, str]:
    """Every file of ours in the image: where it lies in the checkout, and where in the working directory."""
    found: dict[Path, str] = {}
    for source, to in ours(target).items():
        below = [ROOT / source] if (ROOT / source).is_file() else sorted((ROOT / source).rglob("*"))
        inside = (path for path in below if path.is_file() and is_sent(path.relative_to(ROOT).as_posix()))
        found |= {path: (Path(to) / path.relative_to(ROOT / source)).as_posix() for path in inside}
    return found


def is_sent(path: str) -> bool:
    """Whether .dockerignore lets the builder see a file: the last line that matches it, or a folder of it, decides."""
    parts = path.split("/")
    names = ["/".join(parts[: n + 1]) for n in range(len(parts))]
    verdict = True
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        pattern = line.strip().removeprefix("!")
        if pattern and not line.startswith("#") and any(_matches(name, pattern) for name in names):
            verdict = line.startswith("!")
    return verdict


def _matches(name: str, pattern: str) -> bool:
    """A star stays within a folder, and **/ stands for any number of them."""
    if pattern.startswith("**/"):
        return fnmatch(name.rpartition("/")[2], pattern[3:])
    return name.count("/") == pattern.count("/") and fnmatch(name, pattern)


def default(argument: str) -> str:
    """Of an ARG before the first stage."""
    [text] = re.findall(rf"^ARG {argument}=(\S+)$", DOCKERFILE.read_text(), re.MULTILINE)
    return text
