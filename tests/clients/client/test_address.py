"""Where the server is, and over which lines a key may go."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipstream import BadRequest, Clipstream, ClipstreamError, Unauthorized
from clipstream.address import address


def test_what_is_given_goes_before_the_environment_and_that_before_this_machine() -> None:
    environ = {"CLIPSTREAM_URL": "https://clips.example.com/", "CLIPSTREAM_API_KEY": "ck_a\n"}
    found = address(None, None, environ=environ)
    assert (found.url, found.headers) == ("https://clips.example.com", {"authorization": "Bearer ck_a"})
    assert address("http://[::1]:9/x/", "", environ=environ).headers == {}
    assert address(None, None, environ={}).url == "http://127.0.0.1:8080"


@pytest.mark.parametrize("url", ["https://a.example", "http://localhost:8080", "http://127.9.9.9", "http://[::1]"])
def test_a_key_goes_where_nobody_can_listen(url: str) -> None:
    assert address(url, "ck_a", environ={}).key == "ck_a"


@pytest.mark.parametrize("url", ["http://a.example", "http://10.0.0.1:8080", "http://127.0.0.1.example.com", "http://localhost.evil"])
def test_a_key_goes_nowhere_else_in_the_clear_unless_that_is_meant(url: str) -> None:
    with pytest.raises(BadRequest, match="in the clear") as caught:
        address(url, "ck_secret", environ={})
    assert "ck_secret" not in str(caught.value)
    assert address(url, "ck_a", insecure=True, environ={}).key == "ck_a"
    assert address(url, "ck_a", environ={"CLIPSTREAM_INSECURE": "1"}).key == "ck_a"
    assert address(url, "", environ={}).key == ""


@pytest.mark.parametrize(
    "url", ["clips.example", "ftp://a", "http://", "http://u:p@a", "http://a?b", "http://a#b", "http://a:99999", "http://a\n"]
)
def test_what_is_no_address_is_refused_in_plain_words(url: str) -> None:
    with pytest.raises(BadRequest, match="no server's address"):
        address(url + "\x00", None, environ={})
    if url.strip() == url:
        with pytest.raises(BadRequest, match="no server's address"):
            address(url, None, environ={})


@given(st.text())
def test_any_address_is_taken_or_refused_by_us(url: str) -> None:
    try:
        said = address(url, None, environ={}).url
    except ClipstreamError as error:
        said = error.code
    assert said.startswith(("http://", "https://", "BAD_ADDRESS"))


@pytest.mark.parametrize("key", ["ck_a b", "ck_ä", "ck\na"])
def test_what_can_be_no_key_is_not_sent(key: str) -> None:
    with pytest.raises(Unauthorized, match="no API key"):
        address("https://a.example", key, environ={})


def test_no_key_is_shown() -> None:
    with Clipstream("https://a.example", key="ck_secret") as client:
        assert "ck_secret" not in repr(client) + repr(client._flows._server)
