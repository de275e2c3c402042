"""Signatures as the reference library checks them, and what follows from each outcome of an attempt."""

import base64
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as some
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from services.api.webhooks.attempts import BACK_OFF, JITTER, LONGEST_WISH, Outcome, State, Trouble, Verdict, verdict_on
from services.api.webhooks.outbox import delivery_id
from services.api.webhooks.signatures import PREFIX, shown, signed_headers, signing_key

ROOT = b"r" * 32
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
BODY = b'{"type":"job.done"}'


def key(tenant: str = "a", number: int = 1) -> bytes:
    return signing_key(ROOT, tenant, UUID(int=number))


def test_a_secret_is_as_long_as_the_specification_wants_and_another_for_each_tenant_id_and_root() -> None:
    assert 24 <= len(base64.b64decode(shown(key()).removeprefix(PREFIX))) <= 64
    others = [key("b"), key(number=2), signing_key(b"q" * 32, "a", UUID(int=1)), key("")]
    assert len({key(), *others}) == 5
    assert key() == key()


@given(some.text(min_size=1, max_size=200), some.integers(1, 2))
def test_the_reference_library_verifies_with_any_of_the_secrets(text: str, live: int) -> None:
    keys, body = [key(number=n) for n in range(live)], text.encode()
    headers = signed_headers(uuid4(), datetime.now(UTC), body, keys)
    for one in keys:
        Webhook(shown(one)).verify(body, headers, json_parse=False)


@pytest.mark.parametrize("minutes", [-10, 10])
def test_the_reference_library_refuses_what_is_ten_minutes_old_or_early(minutes: int) -> None:
    headers = signed_headers(uuid4(), datetime.now(UTC) + timedelta(minutes=minutes), BODY, [key()])
    with pytest.raises(WebhookVerificationError, match="too"):
        Webhook(shown(key())).verify(BODY, headers)


def test_the_reference_library_refuses_another_body_id_time_or_key() -> None:
    now = datetime.now(UTC)
    headers = signed_headers(uuid4(), now, BODY, [key()])
    later = str(int(now.timestamp()) + 1)
    wrong = [
        (BODY + b" ", headers, key()),
        (BODY, headers | {"webhook-id": str(uuid4())}, key()),
        (BODY, headers | {"webhook-timestamp": later}, key()),
        (BODY, headers, key("b")),
    ]
    for body, named, secret in wrong:
        with pytest.raises(WebhookVerificationError, match="No matching signature"):
            Webhook(shown(secret)).verify(body, named)


def test_a_webhook_has_one_id_for_each_run_of_a_job() -> None:
    job = uuid4()
    assert delivery_id(job, 1) == delivery_id(job, 1) != delivery_id(job, 2)
    assert "." not in str(delivery_id(job, 1))  # which parts the fields of what is signed


@given(some.integers(1, len(BACK_OFF)), some.floats(0, 0.999), some.sampled_from([0, 301, 400, 404, 500, 503, 199, 999]))
def test_what_is_no_success_is_tried_again_when_the_back_off_says(tries: int, chance: float, status: int) -> None:
    outcome = Outcome(status=status) if status else Outcome(trouble=Trouble.TIMEOUT)
    verdict = verdict_on(outcome, tries, NOW, chance)
    assert verdict.state is State.PENDING
    assert BACK_OFF[tries - 1] <= verdict.delay <= BACK_OFF[tries - 1] * (1 + JITTER)
    assert verdict_on(outcome, len(BACK_OFF) + 1, NOW, chance).state is State.FAILED


def test_the_tries_go_on_for_a_day() -> None:
    assert timedelta(hours=23) < timedelta(seconds=sum(BACK_OFF)) < timedelta(hours=25)


@given(some.integers(200, 299), some.integers(1, 11))
def test_any_success_is_one(status: int, tries: int) -> None:
    assert verdict_on(Outcome(status=status), tries, NOW, 0.0) == Verdict(State.DELIVERED)


@given(some.text(max_size=40) | some.integers(0, 10**30).map(str))
def test_no_retry_after_brings_a_try_forward_or_puts_it_off_by_more_than_an_hour(header: str) -> None:
    for status in (429, 503):
        verdict = verdict_on(Outcome(status=status, retry_after=header), 1, NOW, 0.0)
        assert BACK_OFF[0] <= verdict.delay <= LONGEST_WISH
    assert verdict_on(Outcome(status=500, retry_after="900"), 1, NOW, 0.0).delay == BACK_OFF[0]


@pytest.mark.parametrize(("seconds", "delay"), [(900, 900), (-900, BACK_OFF[0]), (7200, LONGEST_WISH)])
def test_a_retry_after_may_be_a_date(seconds: int, delay: float) -> None:
    outcome = Outcome(status=503, retry_after=format_datetime(NOW + timedelta(seconds=seconds), usegmt=True))
    assert verdict_on(outcome, 1, NOW, 0.0).delay == delay
