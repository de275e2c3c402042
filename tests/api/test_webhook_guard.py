"""Webhooks go nowhere inside: not by the look of the URL, not by what its name leads to, not by what it leads to the second time."""

from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as some

from libs.common.domain.failures import Code, Failure
from libs.common.domain.source_urls import LONGEST_URL, UrlRules, url_rules
from services.api.webhooks.attempts import BACK_OFF, State, Trouble
from services.api.webhooks.callback_url import CallbackRules, checked_callback, host_of
from services.api.webhooks.receivers import open_receivers
from tests.api.webhook_post import Desk, Receiver, ended, post_office, receiving, rules_for, turned
from tests.dns_stub import NXDOMAIN, SERVFAIL, dns_stub
from tests.runtime.outside import INSIDE, OUTSIDE, certified, saying, site

PUBLIC = CallbackRules.of(url_rules("example.com", "", "80,443"), allow_http=True)


@pytest.fixture
async def desk(webhook_database: str) -> AsyncIterator[Desk]:
    async with post_office(webhook_database) as desk:
        yield desk


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "http://2130706433/",
        "http://0x7f.1/",
        "http://[::1]/",
        "http://[::ffff:10.0.0.1]/",
        "http://169.254.169.254/latest/meta-data",
        "http://10.0.0.8/",
        "http://localhost/",
        "http://api.internal/",
        "https://me:secret@receiver.org/",
        "https://receiver.org:6379/",
        "http://127.0.0.1%2f@receiver.org/",
    ],
)
def test_a_url_that_leads_inside_by_the_look_of_it_is_blocked_at_once(url: str) -> None:
    with pytest.raises(Failure) as refused:
        checked_callback(url, PUBLIC)
    assert refused.value.code is Code.SSRF_BLOCKED
    assert "secret" not in refused.value.message


@pytest.mark.parametrize(
    ("url", "word"),
    [
        ("ftp://receiver.org/", "http"),
        ("receiver.org/hook", "http"),
        ("https://receiver.org/#part", "fragment"),
        ("https://receiver.org/a b", "spaces"),
        ("https:///hook", "host"),
        (f"https://receiver.org/{'x' * LONGEST_URL}", "too long"),
        (f"https://receiver.org/{'ü' * (LONGEST_URL // 2)}", "too long"),
    ],
)
def test_what_is_no_url_that_can_be_called_is_refused(url: str, word: str) -> None:
    with pytest.raises(Failure, match=word) as refused:
        checked_callback(url, PUBLIC)
    assert refused.value.code is Code.VALIDATION_FAILED


def test_plain_http_needs_the_operators_leave() -> None:
    strict = CallbackRules.of(PUBLIC.urls, allow_http=False)
    assert checked_callback("HTTPS://Receiver.org:443/hook?key=1", strict) == "https://receiver.org/hook?key=1"
    with pytest.raises(Failure, match="https://"):
        checked_callback("http://receiver.org/hook", strict)


def test_the_list_of_hosts_is_about_sources_and_the_usual_ports_are_always_open() -> None:
    assert checked_callback("https://receiver.org/", CallbackRules.of(url_rules("example.com", "", "8443"), allow_http=False))


def test_a_service_that_can_sign_nothing_takes_no_url() -> None:
    with pytest.raises(Failure, match="not set up"):
        checked_callback("https://receiver.org/", None)


@given(some.text(max_size=60))
def test_whatever_is_given_is_a_url_on_a_host_or_refused(text: str) -> None:
    for url in (text, f"https://{text}", f"https://receiver.org/{text}"):
        try:
            checked = checked_callback(url, PUBLIC)
        except Failure as failure:
            assert failure.code in {Code.VALIDATION_FAILED, Code.SSRF_BLOCKED}  # noqa: PT017  either is right
        else:
            assert host_of(checked) == urlsplit(checked).hostname
            assert checked_callback(checked, PUBLIC) == checked


async def attempted(desk: Desk, url: str, rules: UrlRules, nameserver: str = "127.0.0.1:9") -> tuple[State, Trouble | int]:
    """One attempt to deliver there: the delivery's state, and what came back."""
    job = ended(url)
    await desk.order(job)
    async with open_receivers(rules, [nameserver], seconds=5) as way:
        assert await turned(desk.sender(way.post)) == 1
    delivery = await desk.delivery(job)
    (attempt,) = delivery.attempts
    return delivery.state, attempt.error or attempt.status


async def test_an_address_inside_is_not_connected_to_and_not_tried_again(desk: Desk) -> None:
    async with receiving(200) as canary:
        assert await attempted(desk, canary.url, rules_for(canary, networks="")) == (State.FAILED, Trouble.BLOCKED)
        desk.clock.forward(BACK_OFF[-1])
        async with desk.sending(canary) as sender:
            assert await turned(sender) == 0
        assert canary.heard == []


async def test_a_name_that_leads_inside_is_blocked(desk: Desk) -> None:
    async with receiving(200) as canary, dns_stub({"inside.test": [[INSIDE]], "both.test": [[OUTSIDE, INSIDE]]}) as stub:
        for name in ("inside.test", "both.test"):
            url, rules = _named(canary, name), rules_for(canary, networks=f"{OUTSIDE}/32")
            assert await attempted(desk, url, rules, stub.address) == (State.FAILED, Trouble.BLOCKED)
        assert canary.heard == []


async def test_a_name_that_leads_inside_the_second_time_does_not_get_there(desk: Desk) -> None:
    async with (
        receiving(500, host=OUTSIDE) as receiver,
        receiving(200, host=INSIDE) as canary,
        dns_stub({"turns.test": [[OUTSIDE], [INSIDE]]}) as stub,
    ):
        rules, job = rules_for(receiver, canary, networks=f"{OUTSIDE}/32"), ended(_named(receiver, "turns.test"))
        await desk.order(job)
        async with open_receivers(rules, [stub.address]) as way:
            sender = desk.sender(way.post)
            await turned(sender)
            assert stub.lookups("turns.test") == 1
            desk.clock.forward(BACK_OFF[0])
            await turned(sender)
        delivery = await desk.delivery(job)
        assert [attempt.status or attempt.error for attempt in delivery.attempts] == [500, Trouble.BLOCKED]
        assert (delivery.state, len(receiver.heard), canary.heard) == (State.FAILED, 1, [])


async def test_names_and_servers_that_fail_are_tried_again(desk: Desk) -> None:
    async with receiving(200) as receiver, dns_stub({"none.test": [NXDOMAIN], "away.test": [SERVFAIL]}) as stub:
        rules = rules_for(receiver)
        for name in ("none.test", "away.test"):
            assert await attempted(desk, _named(receiver, name), rules, stub.address) == (State.PENDING, Trouble.NAME)
    assert await attempted(desk, receiver.url, rules) == (State.PENDING, Trouble.CONNECTION)


@pytest.mark.parametrize("junk", [b"SSH-2.0-OpenSSH\r\n\r\n", b"HTTP/1.1 200 OK\r\nX: " + b"x" * 20_000 + b"\r\n\r\n"])
async def test_an_answer_that_is_none_is_tried_again(desk: Desk, junk: bytes) -> None:
    async with site(saying(junk)) as receiver:
        url, rules = f"http://{OUTSIDE}:{receiver.port}/", url_rules("", f"{OUTSIDE}/32", str(receiver.port))
        assert await attempted(desk, url, rules) == (State.PENDING, Trouble.PROTOCOL)


async def test_a_certificate_that_nobody_vouches_for_is_not_believed(desk: Desk, tmp_path: Path) -> None:
    context, _ = certified(tmp_path)
    async with site(saying(b"HTTP/1.1 200 OK\r\n\r\n"), context=context) as receiver, dns_stub({"secure.test": [[OUTSIDE]]}) as stub:
        rules = url_rules("", f"{OUTSIDE}/32", str(receiver.port))
        url = f"https://secure.test:{receiver.port}/"
        assert await attempted(desk, url, rules, stub.address) == (State.PENDING, Trouble.TLS)


def _named(receiver: Receiver, name: str) -> str:
    return f"http://{name}:{urlsplit(receiver.url).port}/hook"
