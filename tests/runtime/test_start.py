"""A process's beginning."""

import gc
import subprocess
import sys
from pathlib import Path

from libs.common.runtime.start import without

MODULE = """
import gc
was_on = gc.isenabled()

def main():
    print(was_on, gc.isenabled(), gc.get_freeze_count() > 0)
"""


def begun(text: str, folder: Path) -> list[str]:
    """The lines that a process prints which begins with a module of this text."""
    (folder / "begun.py").write_text(text)
    code = f"import sys; sys.path.insert(0, {str(folder)!r}); from libs.common.runtime.start import start; start('begun')"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    return told.stdout.splitlines()


def test_nothing_is_collected_while_a_service_is_imported_and_all_of_it_stays(tmp_path: Path) -> None:
    assert begun(MODULE, tmp_path) == ["False True True"]
    assert gc.isenabled()


USER = """
import sys
import aiobotocore.session
import structlog

def main():
    print(*({"httpx", "rich"} & sys.modules.keys()))
    import httpx
    import rich.console
    print(httpx.AsyncClient.__name__, rich.console.Console.__name__)
"""


def test_what_libraries_import_for_a_use_that_no_service_makes_of_them_is_left_out_until_somebody_asks_for_it(tmp_path: Path) -> None:
    assert begun(USER, tmp_path) == ["", "AsyncClient Console"]


def test_what_is_imported_already_stays() -> None:
    assert "json" in sys.modules
    with without(["json", "this"]):
        assert sys.modules["json"]
        assert "this" in sys.modules
    assert "this" not in sys.modules
