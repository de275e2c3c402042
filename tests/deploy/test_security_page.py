"""The commands of docs/security.md do what the page says, pasted one after the other."""

import os
import re
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from libs.common.runtime.embedded_postgres import _bin
from tests.deploy.database import LOGINS, ROOT
from tests.deploy.message_servers import production_nats
from tests.documents.blocks import blocks_of, pasted
from tools.local_stack import Plan, service_environ

PAGE = (ROOT / "docs" / "security.md").read_text()
ROLES, GRANTS, STREAMS = blocks_of("docs/security.md", "sh")


@pytest.fixture
async def empty(servers: dict[str, str]) -> AsyncIterator[str]:
    """The URL of a database with nothing in it, as its superuser reaches it."""
    owner = await asyncpg.connect(servers["DATABASE_URL"])
    await owner.execute("CREATE DATABASE page")
    yield urlsplit(servers["DATABASE_URL"])._replace(path="/page").geturl()
    await owner.execute("DROP DATABASE page WITH (FORCE)")
    await owner.close()


async def test_the_roles_are_made_as_the_page_says(servers: dict[str, str], empty: str, tmp_path: Path):
    parts = urlsplit(empty)
    environ = {
        **service_environ(Plan(tmp_path, os.environ), servers),
        "SUPERUSER_URL": empty,
        "MIGRATIONS_URL": parts._replace(netloc=f"{parts.hostname}:{parts.port}").geturl(),
        "SECRETS": str(tmp_path),
    }
    environ["PATH"] = f"{_bin()}{os.pathsep}{environ['PATH']}"
    await pasted([ROLES, GRANTS], ROOT, environ)
    for login in LOGINS:
        secret = tmp_path / f"postgres-{login}"
        assert secret.stat().st_mode & 0o077 == 0
        user = f"clipstream_{login}:{secret.read_text().strip()}"
        connection = await asyncpg.connect(parts._replace(netloc=f"{user}@{parts.hostname}:{parts.port}").geturl())
        assert await connection.fetchval("SELECT has_table_privilege('job_events', 'SELECT')")
        await connection.close()


async def test_the_streams_are_made_as_the_page_says(servers: dict[str, str], tmp_path: Path):
    async with production_nats(tmp_path) as messages:
        settings = {"ENVIRONMENT": "production", "STREAM_REPLICAS": "3", "NATS_MONITOR_URLS": ",".join(messages.monitors)}
        common = {**service_environ(Plan(tmp_path, os.environ), servers), **settings}
        own = {"OPERATOR_NATS_URL": messages.url("operator"), "SSL_CERT_FILE": str(messages.certificate)}
        await pasted([STREAMS], ROOT, {**common, **own})


def test_every_variable_of_the_servers_is_on_the_page():
    text = "".join((ROOT / "deploy" / "nats" / name).read_text() for name in ("clipstream.conf", "users.conf"))
    named = set(re.findall(r"\$(NATS_\w+)", text)) - {f"NATS_{user}_PASSWORD" for user in ("RESOLVER", "CLIPPER", "ASR", "JANITOR")}
    assert [name for name in named if name not in PAGE] == []
