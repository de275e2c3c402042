"""Either client, and a place of its own for what it remembers."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from clipstream import AsyncClipstream, Clipstream
from tests.clients.client.servers import Connect, Either


@pytest.fixture(autouse=True)
def _apart(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    for name in ("CLIPSTREAM_URL", "CLIPSTREAM_API_KEY", "CLIPSTREAM_INSECURE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(params=["blocking", "asynchronous"])
async def connect(request: pytest.FixtureRequest) -> AsyncIterator[Connect]:
    """Makes a client; all of them are closed in the end."""
    made: list[Either] = []

    def connected(url: str, **options: object) -> Either:
        kind = Clipstream if request.param == "blocking" else AsyncClipstream
        made.append(Either(kind(url, **options)))
        return made[-1]

    yield connected
    for one in made:
        await (one.close() if request.param == "blocking" else one.aclose())
