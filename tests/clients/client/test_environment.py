"""What the environment, other processes and strangers' networks do to a client."""

import pickle

import pytest

from clipstream import AsyncClipstream, BadRequest, Clipstream, JobFailed, NotFound, RateLimited
from clipstream.models import Job, JobError
from clipstream.wire import origin
from tests.clients.client.servers import JOB, Connect, refuses, says, serving

KINDS = pytest.mark.parametrize("kind", [Clipstream, AsyncClipstream])


async def test_this_machine_is_not_reached_by_a_proxy_which_would_read_the_key(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving() as proxy, serving(api_jobs=says({"jobs": []})) as server:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("ALL_PROXY", proxy.url)
        assert await connect(server.url, key="ck_secret").jobs() == []
    assert proxy.asked == []


@KINDS
@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("ALL_PROXY", "socks5://127.0.0.1:1", "the proxy"),
        ("ALL_PROXY", "nonsense://", "the proxy"),
        ("SSL_CERT_FILE", "/nowhere", "certificates"),
        ("SSL_CERT_FILE", "/dev/null", "certificates"),
    ],
)
def test_an_environment_that_can_t_be_used_is_named(
    kind: type[Clipstream], name: str, value: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from clipstream import wire  # noqa: PLC0415  the certificates are read once in a process: here anew

    wire.trusted.cache_clear()
    monkeypatch.setenv(name, value)
    try:
        with pytest.raises(BadRequest, match=words):
            kind("http://127.0.0.1:1")
    finally:
        wire.trusted.cache_clear()


def test_an_error_comes_out_of_another_process_as_it_was() -> None:
    job = Job(id=JOB, status="failed", progress=0, error=JobError(code="NO_SPACE", message="full", hint="Wait."))
    for error in (JobFailed(job), RateLimited("RATE", "slow down", retryable=True, retry_after=3.0, status=429)):
        again = pickle.loads(pickle.dumps(error))  # noqa: S301  our own bytes
        assert (type(again), str(again), again.__dict__) == (type(error), str(error), error.__dict__)


def test_an_address_of_version_6_is_said_as_it_is_written() -> None:
    assert origin("http://[::1]:8080/x?signature=1") == "http://[::1]:8080"


async def test_where_operators_have_no_api_that_is_said(connect: Connect) -> None:
    nothing = refuses(404, "NOT_FOUND")
    async with serving(api_admin_overview=nothing, api_admin_keys=nothing, api_admin_dlq=nothing) as server:
        client = connect(server.url)
        for call in (client.overview, client.keys.list, client.dead_letters.list):
            with pytest.raises(NotFound, match="ADMIN_ENABLED"):
                await call()
