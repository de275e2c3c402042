"""docs/client.md, its blocks run exactly as they are written: against the stack, and the first with the package installed."""

import asyncio
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from services.api.webhooks.signatures import shown, signed_headers
from tests.whole_stack import System

ROOT = Path(__file__).parents[3]
FIRST, ASYNCHRONOUS, RECEIVER = re.findall(r"^```python\n(.*?)^```$", (ROOT / "docs" / "client.md").read_text(), re.MULTILINE | re.DOTALL)
BODY = b'{"type":"job.done","timestamp":"2026-11-21T12:00:00Z","data":{"id":"5b4e","status":"done","progress":100.0}}'


@pytest.fixture
def folder(tmp_path: Path, small: Path) -> Path:
    shutil.copy(small, tmp_path / "film.mp4")
    return tmp_path


async def said(python: Path | str, block: str, folder: Path, **environ: str) -> str:
    child = await asyncio.create_subprocess_exec(
        *(str(python), "-c", block), cwd=folder, env={**os.environ, **environ}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    told, _ = await child.communicate()
    assert child.returncode == 0, told.decode()
    return told.decode()


async def test_the_first_example_cuts_a_clip(system: System, folder: Path) -> None:
    told = await said(sys.executable, FIRST, folder, CLIPSTREAM_URL=system.stack.url)
    assert re.search(r"^clip.uploaded 100.0$", told, re.MULTILINE)
    assert told.splitlines()[-1] == "out/clip.mp4 3.52 6.0"
    assert {path.name for path in (folder / "out").iterdir()} == {"clip.mp4", "clip.jpg", "clip.vertical.mp4"}


async def test_the_asynchronous_example_cuts_two(system: System, folder: Path) -> None:
    first, *listed = (await said(sys.executable, ASYNCHRONOUS, folder, CLIPSTREAM_URL=system.stack.url)).splitlines()
    assert first == "done done"
    assert sorted(line.split()[:2] for line in listed) == [["1.0", "3.0"], ["4.0", "6.0"]]


async def test_the_example_says_what_to_do_where_nobody_listens(folder: Path, unused_tcp_port: int) -> None:
    with pytest.raises(AssertionError, match="can't be reached Check the address, and that the server runs"):
        await said(sys.executable, FIRST, folder, CLIPSTREAM_URL=f"http://127.0.0.1:{unused_tcp_port}")


async def test_the_receiver_believes_what_is_signed(tmp_path: Path, unused_tcp_port: int) -> None:
    key = bytes(range(32))
    environ = {**os.environ, "WEBHOOK_SECRET": shown(key), "PORT": str(unused_tcp_port)}
    receiver = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", RECEIVER), cwd=tmp_path, env=environ, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        headers = signed_headers(uuid4(), datetime.now(UTC), BODY, [key])
        good = await posted(unused_tcp_port, headers)
        forged = await posted(unused_tcp_port, {**headers, "webhook-id": "another"})
        assert (good, forged) == (204, 401)
        assert receiver.stdout
        assert (await receiver.stdout.readline()).decode() == f"{headers['webhook-id']} job.done 5b4e\n"
    finally:
        receiver.kill()
        await receiver.wait()


async def posted(port: int, headers: Mapping[str, str]) -> int:
    async with asyncio.timeout(60), httpx.AsyncClient() as http:
        while True:
            try:
                return (await http.post(f"http://127.0.0.1:{port}/", content=BODY, headers=dict(headers))).status_code
            except httpx.ConnectError:
                await asyncio.sleep(0.05)


@pytest.fixture
def installed(folder: Path) -> Path:
    """An environment of its own, which borrows the libraries that the package needs, with the package built and installed by pip."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder / "venv")], check=True)
    python = folder / "venv" / "bin" / "python"
    (packages_of(python) / "borrowed.pth").write_text(sysconfig.get_path("purelib"))
    install = (sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", "--disable-pip-version-check")
    subprocess.run([*install, str(ROOT / "clients")], check=True, timeout=120)
    return python


def packages_of(python: Path) -> Path:
    [packages] = python.parents[1].glob("lib/python*/site-packages")
    return packages


async def test_the_package_installs_and_runs_the_example(system: System, folder: Path, installed: Path) -> None:
    package = packages_of(installed) / "clipstream"
    told = await said(installed, f"{FIRST}import clipstream; print(clipstream.__file__)", folder, CLIPSTREAM_URL=system.stack.url)
    assert told.splitlines()[-2:] == ["out/clip.mp4 3.52 6.0", str(package / "__init__.py")]
    assert (package / "py.typed").exists()
    assert "clipstream" in await said(installed, "from clipstream.cli.main import main; main(['--version'])", folder)
    assert (installed.parent / "clipstream").exists()
