"""What fields become: JSON always, without secrets however deep, and never too long."""

import json
import math
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.runtime.log_fields import LINE_BYTES, TEXT, Fields, line
from libs.common.runtime.redaction import known_secrets
from libs.common.runtime.settings import CommonSettings, Secret

SECRET = "hunter2hunter2"
DSN = f"postgresql://clip:{SECRET}@db/clips"


def shown(value: object, *secrets: str) -> Any:
    return json.loads(line(Fields(known_secrets(secrets)).plain({"field": value})))["field"]


class Unsayable:
    def __repr__(self) -> str:
        raise RuntimeError(SECRET)


@dataclass
class Holder:
    url: str


class Sealed(msgspec.Struct):
    key: Secret


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text() | st.integers() | st.tuples(st.text()), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.text(), anything, max_size=5))
def test_whatever_a_field_holds_it_is_one_line_of_json(fields: dict[str, Any]) -> None:
    made = line(Fields().plain(fields))
    assert isinstance(json.loads(made), dict)
    assert len(made.decode().splitlines()) <= 1
    assert not any(ord(sign) < 32 or 127 <= ord(sign) < 160 for sign in made.decode())


@pytest.mark.parametrize(
    "value",
    [
        DSN,
        DSN.encode(),
        [DSN],
        ({"a": {"b": (DSN,)}},),
        {DSN: 1},
        {1: {DSN}},
        Holder(DSN),
        ValueError(DSN),
        {"headers": {"Authorization": SECRET, "x-api-key": SECRET}},
        {"password": [SECRET]},
        [("host", "h"), ("x-api-key", SECRET)],
        ((b"authorization", SECRET.encode()),),
        Secret(SECRET),
        [Secret(SECRET)],
        Sealed(Secret(SECRET)),
        Unsayable(),
        [[[[[[[[DSN]]]]]]]],
        "x" * 30_000 + DSN + "x" * 30_000,
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_secret_is_found_however_deep_it_lies(value: object) -> None:
    assert SECRET not in str(shown(value))


@given(st.integers(0, 60_000), st.integers(0, 60_000))
def test_a_cut_never_leaves_half_a_secret(before: int, after: int) -> None:
    secret = "0123456789abcdef" * 2
    said = shown("-" * before + secret + "+" * after, secret)
    assert not any(digit in said for digit in "0123456789abcdef")


def test_a_field_named_for_a_secret_shows_none_but_tells_that_it_was_empty() -> None:
    assert Fields().plain({"api_key": SECRET, "token": "", "key_id": "k-1", "key": "uploads/x"}) == {
        "apiKey": "***",
        "token": "",
        "keyId": "k-1",
        "key": "uploads/x",
    }


def test_values_stay_what_json_can_say() -> None:
    job = UUID("0b0e4c1e-0000-4000-8000-000000000000")
    assert shown([1, 2.5, True, None, "é", job, datetime(2026, 1, 1, tzinfo=UTC), Path("/a")]) == [
        *(1, 2.5, True, None, "é"),
        str(job),
        "2026-01-01 00:00:00+00:00",
        "/a",
    ]
    assert [shown(math.nan), shown(2**80), shown("\ud800"), shown(b"\xff")] == [None, hex(2**80), "?", "�"]


def test_names_are_written_as_in_json() -> None:
    assert list(Fields().plain({"job_id": 1, "usedMb": 2, "_private": 3, "two words": 4, "a_b_c": 5})) == [
        *("jobId", "usedMb", "_private", "two words", "aBC"),
    ]


def test_a_long_text_keeps_its_beginning_and_its_end() -> None:
    said = shown("first " + "x" * 100_000 + " last")
    assert (said[:6], said[-5:], len(said) <= TEXT + 3) == ("first ", " last", True)


def test_a_line_is_never_longer_than_its_reader_bears() -> None:
    made = line(Fields().plain({"event": "many", "job_id": "j", "values": ["é" * 8_000] * 100}))
    assert len(made) < LINE_BYTES
    assert json.loads(made) == {"event": "many", "jobId": "j", "values": "…", "cut": True}


@pytest.mark.parametrize("name", ["{}" + "n" * 9_000, "{}" + "\1" * 9_000, "{}"])
def test_names_and_signs_that_json_writes_long_make_no_longer_line(name: str) -> None:
    made = line({"event": "many", "logger": "l"} | Fields().plain({name.format(each): "\1" * 9_000 for each in range(100)}))
    assert len(made) < LINE_BYTES
    assert {"event": "many", "logger": "l", "cut": True}.items() <= json.loads(made).items()


@pytest.mark.parametrize("sign", ["\u202e", "\u2066", "\u200f", "\u061c", "\u2028", "\x7f", "\x9b"])
def test_a_sign_that_turns_or_steers_what_is_read_is_written_as_its_number(sign: str) -> None:
    made = line(Fields().plain({"event": f"a{sign}b"}))
    assert (made.isascii(), json.loads(made)["event"]) == (True, f"a{sign}b")


def test_settings_name_all_their_secrets() -> None:
    settings = CommonSettings(database_url=Secret(DSN), nats_url=Secret("nats://h"), s3_secret_access_key=Secret(SECRET))
    assert sorted(settings.secrets) == sorted([DSN, "nats://h", SECRET])
