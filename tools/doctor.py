"""`python -m tools.doctor`: this checkout and its five services, beside the local stack that runs, or in the environment that is set."""

import argparse
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from libs.common.runtime.doctor.findings import Finding
from libs.common.runtime.doctor.services import examined_services, run
from libs.common.runtime.embedded import VARIABLES
from libs.common.runtime.embedded_home import owner_of
from services.api.doctor import PATIENT as API
from services.asr.doctor import PATIENT as ASR
from services.clipper.doctor import PATIENT as CLIPPER
from services.janitor.doctor import PATIENT as JANITOR
from services.resolver.doctor import PATIENT as RESOLVER
from tools.local_stack import ready_environ
from tools.setup import ROOT, read_stamp

PATIENTS = (API, RESOLVER, CLIPPER, ASR, JANITOR)
NOBODY = {"DATABASE_URL": "postgresql://nobody", "NATS_URL": "nats://nobody"}
"""So that the rest of the settings can be looked at where there are no servers yet."""
START = "Run make start; or set DATABASE_URL, NATS_URL and S3_ENDPOINT_URL to your own servers."


async def examined(home: Path) -> list[Finding]:
    if all(os.environ.get(name) for name in VARIABLES[:2]):
        return await examined_services(PATIENTS, os.environ, lock="dev")
    found = await examined_services(PATIENTS, {**os.environ, **NOBODY}, lock="dev", servers=False)
    return [Finding("local stack", "running", "skipped", f"none runs on {home}, and no servers are named", START), *found]


def environ_of(home: Path) -> Mapping[str, str]:
    """What the stack on this folder decided itself; without one, what it would."""
    owner = owner_of(home)
    programs, scratch = read_stamp(Path(sys.prefix)), str(home / "scratch")
    usual = {"FFMPEG_BIN": programs.get("ffmpeg", "ffmpeg"), "FFPROBE_BIN": programs.get("ffprobe", "ffprobe"), "SCRATCH_DIR": scratch}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    return {**usual, **os.environ, "PATH": path, **((ready_environ(home, owner) if owner else None) or {})}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.doctor", description="Is this checkout, and its stack, set up right?")
    home = Path(os.environ.get("CLIPSTREAM_HOME") or ROOT / ".clipstream").absolute()
    os.environ.update(environ_of(home))  # of the programs that are looked for, too
    run(lambda: examined(home), parser)


if __name__ == "__main__":
    main()
