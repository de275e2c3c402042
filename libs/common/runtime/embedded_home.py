"""The state folder of a local stack: who holds it, and what it remembers (ports, secrets). No server is started here."""

import fcntl
import json
import os
import random
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Below Linux's ephemeral range (32768 up): there, a client that retries while its server is down can be given
# the server's own port, connect to itself, and so keep the server from coming back.
PORTS = range(20000, 32000)


class HomeInUse(RuntimeError):
    """Another running stack holds this state folder."""


def owner_of(home: Path) -> int | None:
    """The process that holds this state folder, or None."""
    try:
        lock = (home / "lock").open()
    except FileNotFoundError:
        return None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return int(lock.read() or 0)
    return None


@contextmanager
def held(home: Path) -> Iterator[None]:
    """Hold this state folder alone. The kernel lets go of it when the process dies, however it dies."""
    home.mkdir(parents=True, exist_ok=True)
    with (home / "lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise HomeInUse(f"a stack (process {owner_of(home)}) already runs on {home}: stop it, or set CLIPSTREAM_HOME") from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


class PortClaims:
    """Ports that no other stack on this machine will take, from the choice until `close`.

    A free port is anybody's until a server listens on it, seconds later. An abstract socket bears each claim: it leaves no file.
    """

    def __init__(self) -> None:
        self._claims: list[socket.socket] = []

    def claim(self, port: int) -> bool:
        """Whether the port was free, and is now claimed."""
        claim = socket.socket(socket.AF_UNIX)
        try:
            claim.bind(f"\0clipstream-port-{port}")
        except OSError:
            claim.close()
            return False
        self._claims.append(claim)
        return _is_free(port)

    def claim_any(self, preferred: int | None = None) -> int:
        """The preferred port when it is free, else any other."""
        candidates = random.sample(PORTS, 100)
        return next(port for port in [*([preferred] if preferred else []), *candidates] if self.claim(port))

    def close(self) -> None:
        for claim in self._claims:
            claim.close()


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


class Memory:
    """What a state folder remembers from one start to the next: a JSON file that only its owner reads."""

    def __init__(self, home: Path) -> None:
        self._path = home / "memory.json"
        self._values: dict[str, str] = json.loads(self._path.read_text()) if self._path.exists() else {}

    def secret(self, name: str) -> str:
        """Chosen at random once. Letters and digits only: safe in URLs and configuration files."""
        return self._values.get(name) or self._keep(name, secrets.token_hex(16))

    def port(self, name: str, claims: PortClaims) -> int:
        """The port of last time while it is free, so that a restart keeps the addresses."""
        port = claims.claim_any(int(self._values.get(name, 0)) or None)
        return int(self._keep(name, str(port)))

    def _keep(self, name: str, value: str) -> str:
        self._values[name] = value
        write_private(self._path, json.dumps(self._values, indent=2))
        return value


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner reads, whole or not at all."""
    draft = path.with_name(f"{path.name}.new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    draft.replace(path)
