"""Logs: one JSON line an event, and no secret in any, whoever logged it."""

import json
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.runtime.telemetry import logger, redacted, set_up_logs

SECRETS = [
    "postgresql://clip:hunter2@127.0.0.1:5432/clips",
    "nats://user:hunter2@nats:4222",
    "https://s3/bucket/key?X-Amz-Credential=hunter2&X-Amz-Signature=hunter2&X-Amz-Expires=600",
    "https://s3/bucket/key?AWSAccessKeyId=hunter2&Signature=hunter2",
    "Authorization: Bearer hunter2",
    "authorization: basic hunter2==",
    "gsk_hunter2hunter2",
    "ck_0b0e4c1e-0000-4000-8000-000000000000_hunter2",
    "WHSEC_hunter2hunter2",
]


@pytest.mark.parametrize("text", SECRETS)
def test_secrets_are_redacted(text: str) -> None:
    assert "hunter2" not in redacted(f"before {text} after")
    assert redacted(f"before {text} after").startswith("before ")


@given(st.text(alphabet=st.characters(codec="utf-8", categories=("L", "N", "Zs")), max_size=80))
def test_ordinary_text_is_left_as_it_is(text: str) -> None:
    assert redacted(text) == text


def test_a_log_line_is_json_with_its_fields_and_without_secrets(capsys: pytest.CaptureFixture[str]) -> None:
    kept = logging.getLogger().handlers[:]
    try:
        set_up_logs("test", "INFO")
        logger("ours").warning("could not reach it", url=SECRETS[0], attempt=2)
        logging.getLogger("theirs").error("failed: %s", SECRETS[2], extra={"jobId": "j"})
        try:
            int(SECRETS[4])
        except ValueError:
            logger("ours").exception("broke")
    finally:
        logging.getLogger().handlers[:] = kept
    lines = capsys.readouterr().out.splitlines()
    ours, theirs, broke = (json.loads(line) for line in lines)
    assert (ours["event"], ours["attempt"], ours["level"], ours["service"]) == ("could not reach it", 2, "warning", "test")
    assert theirs["jobId"] == "j"
    assert "ValueError" in broke["exception"]
    assert "hunter2" not in "".join(lines)
