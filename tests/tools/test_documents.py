"""The documents are true: their commands run, the files they name exist, and the generated page is the code's."""

import asyncio
import json
import os
import re
from pathlib import Path

import pytest

from tools import configuration

ROOT = Path(__file__).parent.parent.parent
README = (ROOT / "README.md").read_text()
DOCUMENTS = ["README.md", *(f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md"))]


async def test_the_curl_example_works_when_pasted(tmp_path: Path) -> None:
    [example] = [block for block in re.findall(r"```\n(.*?)```", README, re.DOTALL) if "curl" in block]
    environ = {**os.environ, "CLIPSTREAM_HOME": str(tmp_path), "PORT": "0"}
    process = await asyncio.create_subprocess_exec(
        "bash", "-ec", example, cwd=ROOT, env=environ, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        output, errors = await process.communicate()
    finally:
        stop = await asyncio.create_subprocess_exec("make", "stop", cwd=ROOT, env=environ)
        await stop.wait()
    assert process.returncode == 0, (output, errors)
    assert json.loads(output.splitlines()[-1])["result"]["video"]["key"].endswith("clip.mp4")


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_file_that_a_document_names_is_there(document: str) -> None:
    text = (ROOT / document).read_text().replace("\\_", "_")
    named = set(re.findall(r"(?<![\w./-])(?:libs|services|tools|tests|docs|deploy|bench)/[\w./-]*\w", text))
    assert [name for name in named if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_make_target_that_a_document_names_is_there(document: str) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z]+)", (ROOT / document).read_text())) <= targets


def test_the_configuration_page_is_the_code_s() -> None:
    assert configuration.PAGE.read_text() == configuration.page()
