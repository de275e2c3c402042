"""ffmpeg and ffprobe: found, and with all that our commands name."""

import re
from collections.abc import Collection, Mapping
from functools import partial
from typing import Literal

from libs.common.runtime.doctor.examination import Check
from libs.common.runtime.doctor.findings import Seen, failed, ok
from libs.common.runtime.process import Limits, run

Kind = Literal["encoders", "decoders", "filters", "muxers", "demuxers"]
Needs = Mapping[Kind, Collection[str]]
LIMITS = Limits(wall=8.0)
INSTALL = "Install ffmpeg with libx264, libx265 and libass (Debian's package has all), or name another in {variable}."
_VERSION = re.compile(rb"^\S+ version (\S+)")


def program_checks(topic: str, programs: Mapping[str, str]) -> list[Check]:
    """`programs`: by the variable that names each."""
    return [program_check(topic, variable, program) for variable, program in programs.items()]


def program_check(topic: str, variable: str, program: str) -> Check:
    name = variable.removesuffix("_BIN").lower()
    return Check(topic=topic, name=name, look=partial(_version, program, variable), advice=INSTALL.format(variable=variable))


async def _version(program: str, variable: str) -> Seen:
    ended = await run([program, "-version"], limits=LIMITS)
    found = _VERSION.match(ended.stdout)
    if ended.code or not found:
        return failed(f"{program} does not tell its version", INSTALL.format(variable=variable))
    return ok(f"{found[1].decode(errors='replace')} ({program})")


def feature_check(topic: str, program: str, needs: Needs) -> Check:
    return Check(topic=topic, name="ffmpeg's parts", look=partial(_features, program, needs), needs="ffmpeg", seconds=30)


async def _features(program: str, needs: Needs) -> Seen:
    missing = []
    for kind, wanted in needs.items():
        ended = await run([program, "-hide_banner", f"-{kind}"], limits=LIMITS)
        missing += [f"{name} ({kind.removesuffix('s')})" for name in sorted(set(wanted) - listed(ended.stdout.decode(errors="replace")))]
    if missing:
        return failed(f"this build lacks {', '.join(missing)}", INSTALL.format(variable="FFMPEG_BIN"))
    return ok(f"all {sum(map(len, needs.values()))} that our commands name")


def listed(text: str) -> set[str]:
    """The names in a list of ffmpeg's: the second column, where several may stand with commas."""
    columns = (line.split() for line in text.splitlines())
    return {name for column in columns if len(column) > 1 for name in column[1].split(",")}
