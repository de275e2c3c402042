"""A process's beginning."""

import gc
import subprocess
import sys
from pathlib import Path

MODULE = """
import gc
was_on = gc.isenabled()

def main():
    print(was_on, gc.isenabled(), gc.get_freeze_count() > 0)
"""


def test_nothing_is_collected_while_a_service_is_imported_and_all_of_it_stays(tmp_path: Path) -> None:
    (tmp_path / "begun.py").write_text(MODULE)
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from libs.common.runtime.start import start; start('begun')"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert told.stdout.split() == ["False", "True", "True"]
    assert gc.isenabled()
