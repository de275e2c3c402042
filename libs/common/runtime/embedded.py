"""The local NATS, Postgres and S3 servers: whatever is not configured is started from PyPI wheels under one state folder.

Needs Linux. Runs as root or not. Nothing is written outside the state folder.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from libs.common.runtime.embedded_home import HomeInUse, Memory, PortClaims, held
from libs.common.runtime.embedded_postgres import postgres
from libs.common.runtime.embedded_process import Server, ServerFailed
from libs.common.runtime.embedded_servers import nats, s3

__all__ = ["HomeInUse", "LocalServers", "Server", "ServerFailed", "embedded_servers", "local_servers"]


class LocalServers:
    """The servers of one stack, and in `variables` what reaches them all, ours and configured ones alike."""

    def __init__(self, home: Path, environ: Mapping[str, str]) -> None:
        self.variables = {name: environ[name] for name in VARIABLES if environ.get(name)}
        self.started: dict[str, Server] = {}
        self._home = home
        self.memory = Memory(home)
        self._claims = PortClaims()
        for variable, plan in PLANS.items():
            if variable not in self.variables:
                plan(self)

    @property
    def nats(self) -> Server:
        """KeyError when NATS_URL was configured; likewise the other two."""
        return self.started["nats"]

    @property
    def postgres(self) -> Server:
        return self.started["postgres"]

    @property
    def s3(self) -> Server:
        return self.started["s3"]

    async def start(self) -> None:
        """All at once. Raises the first ServerFailed, after the others have come up or failed too."""
        outcomes = await asyncio.gather(*(server.start() for server in self.started.values()), return_exceptions=True)
        for outcome in outcomes:
            if outcome is not None:
                raise outcome

    async def stop(self) -> None:
        await asyncio.gather(*(server.stop() for server in self.started.values()))
        self._claims.close()

    def plan_postgres(self) -> None:
        program, url = postgres(self._home / "postgres", self._port("postgres"), self.memory.secret("postgres_password"))
        self.started["postgres"] = Server(program)
        self.variables["DATABASE_URL"] = url

    def plan_nats(self) -> None:
        program, url = nats(self._home / "nats", self._port("nats"), self.memory.secret("nats_password"))
        self.started["nats"] = Server(program)
        self.variables["NATS_URL"] = url

    def plan_s3(self) -> None:
        key, secret = self.memory.secret("s3_access_key_id"), self.memory.secret("s3_secret_access_key")
        program, url = s3(self._home / "s3", self._port("s3"), key, secret)
        self.started["s3"] = Server(program)
        self.variables |= {"S3_ENDPOINT_URL": url, "S3_ACCESS_KEY_ID": key, "S3_SECRET_ACCESS_KEY": secret}

    def _port(self, name: str) -> int:
        return self.memory.port(f"{name}_port", self._claims)


VARIABLES = ("DATABASE_URL", "NATS_URL", "S3_ENDPOINT_URL", "S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY")
PLANS: dict[str, Callable[[LocalServers], None]] = {
    "DATABASE_URL": LocalServers.plan_postgres,
    "NATS_URL": LocalServers.plan_nats,
    "S3_ENDPOINT_URL": LocalServers.plan_s3,
}


@asynccontextmanager
async def embedded_servers(home: Path, environ: Mapping[str, str]) -> AsyncIterator[LocalServers]:
    """`local_servers` with its handles: for tests that kill and restart a single server."""
    home = home.absolute()
    with held(home):
        servers = LocalServers(home, environ)
        try:
            await servers.start()
            yield servers
        finally:
            await asyncio.shield(servers.stop())


@asynccontextmanager
async def local_servers(home: Path, environ: Mapping[str, str]) -> AsyncIterator[dict[str, str]]:
    """Start what `environ` does not configure; yield the variables that reach them all
    (DATABASE_URL, NATS_URL, S3_ENDPOINT_URL, S3_ACCESS_KEY_ID, S3_SECRET_ACCESS_KEY). Stops them on exit.

    Raises HomeInUse when another stack runs on the same folder, ServerFailed when a server does not come up.
    """
    async with embedded_servers(home, environ) as servers:
        yield servers.variables
