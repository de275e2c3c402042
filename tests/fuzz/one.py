"""`python -m tests.fuzz.one NAME …`: one target under atheris (libFuzzer for Python), with libFuzzer's own options."""

import importlib
import sys
from functools import partial

import atheris

AREAS = ("mp4", "bitstream", "words", "sources")
WATCHED = ["services", "libs", "m3u8", "pysubs2"]


def main() -> None:
    with atheris.instrument_imports(include=WATCHED):
        areas = [importlib.import_module(f"tests.fuzz.{area}") for area in AREAS]
    from tests.fuzz.target import attempt  # noqa: PLC0415  after what is to be watched

    [target] = [target for area in areas for target in area.TARGETS if target.name == sys.argv[1]]
    atheris.Setup([sys.argv[0], *sys.argv[2:]], partial(attempt, target))
    atheris.Fuzz()


if __name__ == "__main__":
    main()
