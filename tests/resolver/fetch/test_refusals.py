"""What sites and yt-dlp answer, in our codes. The words are those of yt-dlp's extractors."""

import pytest

from libs.common.domain.failures import Code
from services.resolver.fetch.refusals import by_status, by_words


@pytest.mark.parametrize(
    ("status", "code"),
    [
        *((status, Code.SOURCE_FORBIDDEN) for status in (401, 402, 403, 451)),
        *((status, Code.NOT_FOUND) for status in (404, 410)),
        *((status, Code.RETRYABLE_ERROR) for status in (408, 425, 429, 500, 502, 503, 504, 520)),
        *((status, Code.SOURCE_UNREADABLE) for status in (400, 406, 416, 418)),
    ],
)
def test_each_status_of_a_site_has_its_code(status: int, code: Code):
    failure = by_status(status)
    assert failure.code is code
    assert failure.retryable is (code is Code.RETRYABLE_ERROR)


def test_a_site_that_says_when_to_come_back_is_believed_for_an_hour():
    assert by_status(429, 7.0).retry_after == 7.0
    assert by_status(429, 1e9).retry_after == 3600.0


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ("[youtube] x: Sign in to confirm you're not a bot. Use --cookies-from-browser", Code.SOURCE_FORBIDDEN, "proof that a person"),
        ("Got HTTP Error 403 caused by Cloudflare anti-bot challenge", Code.SOURCE_FORBIDDEN, "proof that a person"),
        ("Private video. Sign in if you've been granted access to this video", Code.SOURCE_FORBIDDEN, "private"),
        ("Sign in to confirm your age. This video may be inappropriate for some users.", Code.SOURCE_FORBIDDEN, "age-restricted"),
        ("This video is only available for registered users. Use --cookies", Code.SOURCE_FORBIDDEN, "signed-in"),
        ("Join this channel to get access to members-only content", Code.SOURCE_FORBIDDEN, "paying members"),
        ("This video is DRM protected", Code.SOURCE_FORBIDDEN, "DRM"),
        ("The uploader has not made this video available in your country", Code.SOURCE_FORBIDDEN, "where this service runs"),
        ("Video unavailable. This video has been removed by the uploader", Code.NOT_FOUND, "no such video"),
        ("This live event will begin in 3 hours.", Code.SOURCE_UNREADABLE, "live"),
        ("Premieres in 3 hours", Code.SOURCE_UNREADABLE, "live"),
        ("Requested format is not available", Code.SOURCE_UNREADABLE, "no format"),
        ("Unable to download webpage: The read operation timed out", Code.RETRYABLE_ERROR, "can't be reached"),
        ("Unable to extract video data", Code.SOURCE_UNREADABLE, "no video that can be fetched"),
    ],
)
def test_each_complaint_of_yt_dlp_has_its_code(words: str, code: Code, message: str):
    failure = by_words(words)
    assert failure.code is code
    assert message in failure.message


def test_no_word_of_a_site_is_passed_on():
    secret = "https://cdn.example/v.mp4?token=hunter2"
    failure = by_words(f"Unable to download {secret}: forbidden, sign in")
    assert "hunter2" not in f"{failure.message}{failure.hint}"


def test_what_needs_cookies_says_so():
    assert "YTDLP_COOKIES_FILE" in by_words("Sign in to confirm you're not a bot").hint
