"""Webhooks verified: what the service signs and what the standard's own library signs, and nothing else."""

import base64
import re
import time
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook

from clipstream import WebhookEvent, WebhookRefused, verify_webhook
from services.api.webhooks.signatures import shown, signed_headers

KEY, OLD = bytes(range(32)), b"o" * 32
BODY = b'{"type":"job.done","timestamp":"2026-11-21T12:00:00Z","data":{"id":"5b4e","status":"done","progress":100.0,"newer":1}}'
KEYS = st.binary(min_size=1, max_size=64)


def signed(*keys: bytes, body: bytes = BODY, at: datetime | None = None) -> dict[str, str]:
    return signed_headers(uuid4(), at or datetime.now(UTC), body, keys or (KEY,))


@given(KEYS)
def test_what_the_service_signs_is_believed_and_so_it_is_by_the_standards_own_library(key: bytes) -> None:
    headers = signed(key)
    event = verify_webhook(BODY, headers, shown(key))
    assert (event.id, event.type, event.job.id, event.job.is_done) == (headers["webhook-id"], "job.done", "5b4e", True)
    assert Webhook(shown(key)).verify(BODY, headers)["type"] == event.type


@given(KEYS)
def test_what_the_standards_own_library_signs_is_believed(key: bytes) -> None:
    moment = int(time.time())
    signature = Webhook(shown(key)).sign("m-1", datetime.fromtimestamp(moment, UTC), BODY.decode())
    headers = {"Webhook-Id": "m-1", "Webhook-Timestamp": str(moment), "Webhook-Signature": signature}
    assert isinstance(verify_webhook(BODY, headers, shown(key)), WebhookEvent)


def test_either_secret_is_good_while_they_change() -> None:
    assert verify_webhook(BODY, signed(OLD, KEY), shown(KEY)).type == "job.done"
    assert verify_webhook(BODY, signed(OLD), [shown(KEY), shown(OLD)]).type == "job.done"


@given(st.integers(0, len(BODY) - 1), st.integers(1, 255))
def test_one_changed_byte_is_enough_to_be_refused(place: int, change: int) -> None:
    headers = signed()
    forged = BODY[:place] + bytes([BODY[place] ^ change]) + BODY[place + 1 :]
    with pytest.raises(WebhookRefused, match="not signed"):
        verify_webhook(forged, headers, shown(KEY))


@pytest.mark.parametrize(("seconds", "good"), [(-290, True), (290, True), (-310, False), (310, False)])
def test_what_is_too_old_or_ahead_is_refused(seconds: int, good: bool) -> None:
    headers = signed(at=datetime.now(UTC) + timedelta(seconds=seconds))
    if good:
        assert verify_webhook(BODY, headers, shown(KEY)).type == "job.done"
        return
    with pytest.raises(WebhookRefused, match="too old"):
        verify_webhook(BODY, headers, shown(KEY))
    assert verify_webhook(BODY, headers, shown(KEY), tolerance=400).type == "job.done"


HEADERS = st.sampled_from(["webhook-id", "webhook-timestamp", "webhook-signature"])


@given(st.dictionaries(HEADERS, st.text(max_size=40) | st.sampled_from(["v1,", "v1,=", "v1", " ", "1e9", "٣", "-1"]), max_size=3))
def test_whatever_else_comes_is_refused(changes: dict[str, str]) -> None:
    headers = signed()
    if changes.keys() <= {"webhook-id"} and changes.get("webhook-id") in {None, headers["webhook-id"]}:
        changes = {"webhook-signature": "v1,"}
    with pytest.raises(WebhookRefused):
        verify_webhook(BODY, {**headers, **changes}, shown(KEY))


def test_a_good_signature_over_nonsense_is_refused_too() -> None:
    with pytest.raises(WebhookRefused, match="can't be read"):
        verify_webhook(b"[]", signed(body=b"[]"), shown(KEY))


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_é", "x"])
def test_a_secret_that_is_none_is_a_slip_and_not_a_forgery(secret: str) -> None:
    with pytest.raises(ValueError, match=re.compile("whsec_|ASCII|base64|multiple")):
        verify_webhook(BODY, signed(), secret)


def test_no_secrets_at_all_believe_nothing() -> None:
    with pytest.raises(WebhookRefused):
        verify_webhook(BODY, signed(), [])
    assert base64.b64encode(KEY).decode() in shown(KEY)
