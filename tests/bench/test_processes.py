import os
import sys

import pytest

from bench.processes import ProgramFailed, output_of, spent_by, tree_cpu

BURN = "import time\nend = time.process_time() + 0.3\nwhile time.process_time() < end: pass"
BY_A_CHILD = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {BURN!r}], check=True)"


async def test_what_a_child_of_the_program_spends_counts_as_the_program_s() -> None:
    before = tree_cpu(os.getpid())
    spent = await spent_by([sys.executable, "-c", BY_A_CHILD])
    assert 0.3 <= spent.cpu < 3
    assert tree_cpu(os.getpid()) - before >= 0.25


async def test_a_program_that_fails_says_why() -> None:
    with pytest.raises(ProgramFailed, match="no luck"):
        await spent_by([sys.executable, "-c", "raise SystemExit('no luck')"])
    with pytest.raises(ProgramFailed, match="no luck"):
        await output_of([sys.executable, "-c", "raise SystemExit('no luck')"])
