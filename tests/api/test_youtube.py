"""The moment that a YouTube URL names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.api.timecode import milliseconds
from services.api.youtube import start_in


@pytest.mark.parametrize(
    ("url", "start"),
    [
        ("https://www.youtube.com/watch?v=x&t=90", "90"),
        ("https://www.youtube.com/watch?t=1m30s&v=x", "1m30s"),
        ("https://youtu.be/x?t=90s", "90s"),
        ("https://youtu.be/x?si=abc&t=1h2m3s", "1h2m3s"),
        ("https://m.youtube.com/watch?v=x#t=90", "90"),
        ("https://www.youtube-nocookie.com/embed/x?start=90&end=95", "90"),
        ("https://music.youtube.com/watch?v=x&t=90&start=5", "90"),
        ("https://youtu.be/x?t=90#t=5", "90"),
        ("https://youtu.be/x?t=0", "0"),
        ("https://youtu.be/x", None),
        ("https://youtu.be/x?t=", None),
        ("https://youtu.be/x?t=soon", None),
        ("https://youtu.be/x?t=-5", None),
        ("https://youtu.be/x?t=999999999", None),
        ("https://example.com/watch?t=90", None),
        ("https://notyoutube.com/watch?t=90", None),
        ("https://youtube.com.example.org/watch?t=90", None),
        ("https://[youtu.be/?t=90", None),
    ],
)
def test_a_time_in_the_url_is_read(url: str, start: str | None) -> None:
    assert start_in(url) == start


@given(st.text())
def test_whatever_the_url_says_is_a_time_or_nothing(text: str) -> None:
    start = start_in(f"https://youtu.be/x?t={text}")
    assert start is None or milliseconds(start) >= 0
