"""Writes the hashed lock files of requirements/ from the dependency groups in pyproject.toml (`make lock`).

dev.txt comes first and binds the others: a service is tested with the versions that it is shipped with.
"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = ROOT / "requirements"
TOOLS = ROOT / ".venv-tools"
SERVICES = ("api", "resolver", "clipper", "asr", "janitor")


def main() -> None:
    install_uv()
    compile_group("dev", "--upgrade")
    for group in (*SERVICES, "migrations", "model"):
        compile_group(group, "--constraints", "requirements/dev.txt")
    for group in ("ffmpeg", "tools", "deploy", "bench", "node", "fuzz"):
        compile_group(group, "--upgrade")


def install_uv() -> None:
    """The locked uv, in a folder of its own."""
    pip = (sys.executable, "-m", "pip", "install", "--quiet", "--no-cache-dir", "--upgrade", "--target", str(TOOLS))
    subprocess.run([*pip, "--require-hashes", "--requirement", str(REQUIREMENTS / "tools.txt")], check=True)


def compile_group(group: str, *options: str) -> None:
    """Good for every Python from 3.11 and every machine (--universal). Run at the root, so that the file names only relative paths."""
    print(f"locking {group}", flush=True)
    uv = (str(TOOLS / "bin" / "uv"), "pip", "compile", "--quiet", "--no-config", "--cache-dir", str(TOOLS / "cache"))
    how = ("--universal", "--generate-hashes", "--python-version", "3.11", "--no-header", "--no-emit-index-url", "--no-emit-find-links")
    what = ("pyproject.toml", "--group", group, "--output-file", f"requirements/{group}.txt")
    subprocess.run([*uv, *how, *options, *what], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
