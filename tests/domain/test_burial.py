"""A dead letter's headers: why it failed, and what it came with, however hostile that is."""

from hypothesis import given
from hypothesis import strategies as st

from libs.common.domain.burial import KEPT_LIMIT, MARGIN, TOKEN, kept, letter, reason_headers, size
from libs.common.domain.events import StageName
from libs.common.domain.failures import Code, Failure

REASON = reason_headers("source.ready", 7, StageName.CLIPPER, Failure(Code.SOURCE_UNREADABLE, "no\n picture"), 3)
names = st.one_of(
    st.text(max_size=30), st.sampled_from(["Nats-Msg-Id", "nats-expected-stream", "Clip-Stage", "clip-error-code", "traceparent"])
)
headers = st.dictionaries(names, st.text(max_size=2000), max_size=30)


def test_the_reason_is_that_of_the_contract() -> None:
    assert REASON == {
        "Clip-Error-Code": "SOURCE_UNREADABLE",
        "Clip-Error-Message": "no picture",
        "Clip-Attempts": "3",
        "Clip-Stage": "clipper",
        "Clip-Original-Subject": "source.ready",
        "Clip-Stream-Seq": "7",
        "Nats-Msg-Id": "CLIPS:7",
    }


def test_a_message_of_ours_keeps_its_headers_and_its_id_under_another_name() -> None:
    own = {"Nats-Msg-Id": "j:source.ready:1", "Clip-Job-Id": "j", "traceparent": "00-1"}
    body, headers = letter(b"{}", own, REASON, largest=1 << 20)
    assert body == b"{}"
    assert headers == {**REASON, "Clip-Original-Msg-Id": "j:source.ready:1", "Clip-Job-Id": "j", "traceparent": "00-1"}


def test_orders_to_the_server_are_not_repeated() -> None:
    assert kept({"Nats-TTL": "1s", "nats-rollup": "all", "Nats-Expected-Last-Sequence": "9"}, REASON) == {}


@given(headers, st.integers(0, 3000), st.sampled_from([2048, 4096, 1 << 20]))
def test_whatever_a_message_came_with_its_letter_fits_and_says_why(own: dict[str, str], length: int, largest: int) -> None:
    body, told = letter(b"x" * length, own, REASON, largest=largest)
    assert len(body) + size(told) <= largest - MARGIN
    assert told.items() >= REASON.items()
    assert all(TOKEN.fullmatch(name) and "\n" not in value and "\r" not in value for name, value in told.items())
    assert size(told) - size(REASON) <= KEPT_LIMIT + size({"Clip-Body-Cut": "3000"})
    assert (len(body) == length) != ("Clip-Body-Cut" in told)


def test_a_body_is_cut_only_when_dropping_its_headers_did_not_help() -> None:
    own = {f"h{n}": "v" * 900 for n in range(8)}
    assert letter(b"x" * 3000, own, REASON, largest=4096)[0] == b"x" * 3000
    body, told = letter(b"x" * 5000, own, REASON, largest=4096)
    assert 3000 < len(body) < 4096
    assert told["Clip-Body-Cut"] == "5000"
