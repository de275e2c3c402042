"""What becomes of a message that is delivered no more: decided by what its job's history tells of its deliveries."""

from typing import Any

import pytest

from libs.common.domain.events import AnyEvent, StageName
from libs.common.domain.failures import Code
from libs.common.domain.job import fold
from services.janitor.last_net import Drop, Fail, PutBack, Refuse, put_back_headers, times_put_back, verdict_on
from tests.builders import history, ready, requested, retried, started, uploaded

CLIPPER = StageName.CLIPPER
HANDED_BACK = (started(CLIPPER), retried(CLIPPER, charged=False))


def verdict(*events: AnyEvent, put_back: int = 0, deliveries: int = 20) -> Any:
    told = history(requested(), ready(), *events)
    return verdict_on(fold(told), told, told[1], CLIPPER, deliveries=deliveries, put_back=put_back, max_attempts=3)


def test_what_killed_its_workers_before_they_could_write_has_failed() -> None:
    assert isinstance(verdict(), Fail)


def test_what_was_handed_back_by_living_workers_is_put_back() -> None:
    assert isinstance(verdict(*HANDED_BACK * 20), PutBack)
    assert isinstance(verdict(*HANDED_BACK * 10), PutBack)


def test_what_killed_more_workers_than_it_left_alive_has_failed() -> None:
    assert isinstance(verdict(*HANDED_BACK * 9), Fail)


def test_each_round_of_deliveries_must_have_been_orderly() -> None:
    assert isinstance(verdict(*HANDED_BACK * 19, put_back=1), Fail)
    assert isinstance(verdict(*HANDED_BACK * 20, put_back=1), PutBack)


def test_what_is_handed_back_for_ever_is_put_back_three_times_and_has_failed_then() -> None:
    rounds = [verdict(*HANDED_BACK * 20 * (1 + n), put_back=n) for n in range(6)]
    assert [type(each) for each in rounds] == [PutBack, PutBack, PutBack, Fail, Fail, Fail]
    assert rounds[3].failure.code is Code.RETRIES_EXHAUSTED
    assert rounds[3].failure.message == "gave up after the work was put off 80 times and never done"


def test_spent_attempts_are_not_given_again() -> None:
    assert isinstance(verdict(*HANDED_BACK * 20, *(started(CLIPPER, n) for n in (1, 2, 3))), Fail)
    assert isinstance(verdict(*HANDED_BACK * 20, *(started(CLIPPER, n) for n in (1, 2))), PutBack)


def test_hand_backs_of_another_stage_do_not_count() -> None:
    assert isinstance(verdict(*(started(StageName.RESOLVER), retried(StageName.RESOLVER, charged=False)) * 20), Fail)


def test_what_is_answered_is_dropped_and_what_nobody_asked_for_is_refused() -> None:
    assert verdict(uploaded()) == Drop()
    cause = history(ready())[0]
    refused = verdict_on(fold([]), [], cause, CLIPPER, deliveries=20, put_back=0, max_attempts=3)
    assert isinstance(refused, Refuse)
    assert refused.failure.code is Code.NOT_FOUND


@pytest.mark.parametrize(("header", "times"), [("", 0), ("2", 2), ("-1", 0), ("x", 0), ("²", 0), ("9" * 5000, 999_999_999)])
def test_how_often_it_was_put_back_is_read_from_its_header(header: str, times: int) -> None:
    assert times_put_back({"Clip-Put-Back": header}) == times


def test_each_time_has_an_id_of_its_own() -> None:
    cause = history(requested(), ready())[1]
    ids = {put_back_headers(cause, n)["Nats-Msg-Id"] for n in (1, 2)}
    assert len(ids) == 2
    assert times_put_back(put_back_headers(cause, 2)) == 2
