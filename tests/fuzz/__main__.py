"""`make fuzz`: every parser of hostile bytes, FUZZ_SECONDS (600) each, one after the other; ARGS names some of them.

What is learnt stays in .fuzz/<name>/, and so does an input that broke a parser. The exit code is the number of broken ones.
"""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

from tests.fuzz import bitstream, mp4, sources, words
from tests.fuzz.target import LARGEST, Target

ROOT = Path(__file__).parents[2]
PACKAGES = ROOT / ".venv-fuzz"
TARGETS = {target.name: target for area in (mp4, bitstream, words, sources) for target in area.TARGETS}
STUCK = 30
"""Seconds of one input after which libFuzzer itself steps in; target.py judges what is slow."""


def main() -> None:
    seconds = int(os.environ.get("FUZZ_SECONDS", "600"))
    install_atheris()
    broken = [name for name in sys.argv[1:] or TARGETS if not is_sound(TARGETS[name], seconds)]
    say(f"{len(broken)} parsers broke{': ' if broken else ''}{', '.join(broken)}")
    sys.exit(len(broken))


def install_atheris() -> None:
    """In a folder of its own: it is big, and only this needs it."""
    if not (PACKAGES / "atheris").exists():
        pip = (sys.executable, "-m", "pip", "install", "--quiet", "--no-cache-dir", "--target", str(PACKAGES))
        subprocess.run([*pip, "--require-hashes", "--requirement", str(ROOT / "requirements" / "fuzz.txt")], check=True)


def is_sound(target: Target, seconds: int) -> bool:
    home = ROOT / ".fuzz" / target.name
    corpus = home / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for seed in target.seeds():
        (corpus / hashlib.sha256(seed).hexdigest()[:16]).write_bytes(seed[:LARGEST])
    options = (f"-max_total_time={seconds}", f"-max_len={LARGEST}", f"-timeout={STUCK}", "-rss_limit_mb=2048", f"-artifact_prefix={home}/")
    argv = (sys.executable, "-m", "tests.fuzz.one", target.name, *options, "-print_final_stats=1", str(corpus))
    environ = {**os.environ, "PYTHONPATH": f"{PACKAGES}{os.pathsep}{ROOT}"}
    log = home / "log"
    with log.open("wb") as output:
        code = subprocess.run(argv, cwd=ROOT, env=environ, stdout=output, stderr=subprocess.STDOUT, check=False).returncode
    say(f"{target.name}: {told(log.read_text(errors='replace'), code)}")
    return code == 0


def told(log: str, code: int) -> str:
    stats = [line.split(":")[-1].strip() for line in log.splitlines() if line.startswith("stat::number_of_executed_units")]
    runs = f"{stats[0]} inputs" if stats else "no figures"
    return f"{runs}, sound" if code == 0 else f"{runs}, BROKEN:\n{log[-3000:]}"


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
