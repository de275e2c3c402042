"""What operator and janitor say to each other about dead letters: read strictly, answered in lines."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.domain.dead_letters import (
    DiscardAnswer,
    DiscardRequest,
    ListRequest,
    Refused,
    ReplayAnswer,
    ReplayRequest,
    answer_of,
    in_lines,
    problem_reply,
    request_of,
)
from libs.common.domain.failures import Code, Failure


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (ListRequest, b'{"limit":201}'),
        (ListRequest, b'{"limit":0}'),
        (ListRequest, b'{"stages":"clipper"}'),
        (ReplayRequest, b'{"seq":1,"jobId":"0b8f2d1c-5f0e-4d53-9c86-6a1f0a3c5f11"}'),
        (ReplayRequest, b'{"all":true,"confirm":true}'),
        (ReplayRequest, b'{"all":true,"by":"a\\u001b[31mb"}'),
        (DiscardRequest, b'{"all":"true"}'),
        (DiscardRequest, b"\xff"),
        (DiscardRequest, b"[" * 100_000),
        (DiscardRequest, b'{"a":' * 100_000),
    ],
)
def test_a_slip_of_the_pen_is_refused_with_the_usage(kind: Any, body: bytes) -> None:
    with pytest.raises(Failure, match="send this") as refused:
        request_of(kind, body, "send this")
    assert refused.value.code is Code.BAD_REQUEST
    assert len(refused.value.message) < 400


def test_many_are_discarded_only_when_that_is_confirmed() -> None:
    sure = {b'{"seq":1}': True, b'{"jobId":"0b8f2d1c-5f0e-4d53-9c86-6a1f0a3c5f11"}': True, b'{"all":true,"confirm":true}': True}
    unsure = {b'{"all":true}': False, b'{"stage":"clipper"}': False, b'{"stage":"clipper","upTo":9}': False}
    for body, is_sure in {**sure, **unsure}.items():
        assert request_of(DiscardRequest, body, "").is_sure is is_sure


def test_an_answer_is_a_line_for_each_letter_and_comes_back_as_it_was() -> None:
    answer = ReplayAnswer(replayed=[], refused=[Refused(seq=n, reason="no\n") for n in (1, 2)], next=ReplayRequest(all=True, after=2))
    said = in_lines(answer)
    assert [line for line in said.splitlines() if b'"seq"' in line] == [
        b'{"seq":1,"reason":"no\\n"},',
        b'{"seq":2,"reason":"no\\n"}],'[:-2],
    ]
    assert answer_of(ReplayAnswer, said) == answer
    assert json.loads(said)["next"] == {"all": True, "after": 2}


def test_a_problem_comes_back_as_the_failure_that_it_was() -> None:
    with pytest.raises(Failure) as told:
        answer_of(DiscardAnswer, problem_reply(Failure(Code.NOT_FOUND, "there is no such dead letter")))
    assert (told.value.code, told.value.message) == (Code.NOT_FOUND, "there is no such dead letter")


@given(st.binary(max_size=50))
def test_what_is_no_answer_is_an_internal_failure(body: bytes) -> None:
    with pytest.raises(Failure) as told:
        answer_of(DiscardAnswer, body)
    assert told.value.code is Code.INTERNAL
