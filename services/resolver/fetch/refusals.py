"""What sites and yt-dlp answer, in our codes: what it means for who asked, whether trying again can help, and what to do. Pure."""

import re
from http import HTTPStatus

from libs.common.domain.failures import Code, Failure

LONGEST_RETRY_AFTER = 3600.0

BROWSER = "Open the URL in a browser to see what it asks for; download the video yourself and upload the file."
COOKIES = "The operator can give an account's cookies (YTDLP_COOKIES_FILE); or download the video yourself and upload the file."
CHECK_URL = "Open the URL in a browser to check it."
ONE_VIDEO = "Use the URL of one video."
FILE = "Download the video yourself and upload the file."


def by_status(status: int, retry_after: float | None = None) -> Failure:
    """What an HTTP status of a site comes to (RFC 9110, 15). `retry_after` in seconds."""
    match status:
        case HTTPStatus.TOO_MANY_REQUESTS:
            wait = None if retry_after is None else min(retry_after, LONGEST_RETRY_AFTER)
            return Failure(Code.RETRYABLE_ERROR, "the site says that it is asked too often", retry_after=wait)
        case HTTPStatus.NOT_FOUND | HTTPStatus.GONE:
            return gone()
        case HTTPStatus.UNAVAILABLE_FOR_LEGAL_REASONS:
            return Failure(Code.SOURCE_FORBIDDEN, "the site may not show this video here, for legal reasons", hint=FILE)
        case HTTPStatus.UNAUTHORIZED | HTTPStatus.FORBIDDEN | HTTPStatus.PAYMENT_REQUIRED:
            return Failure(Code.SOURCE_FORBIDDEN, f"the site refuses this video (it answers {status:d})", hint=BROWSER)
        case HTTPStatus.REQUEST_TIMEOUT | HTTPStatus.TOO_EARLY:
            return site_down(f"it answers {status:d}")
        case _ if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return site_down(f"it answers {status:d}")
    return Failure(Code.SOURCE_UNREADABLE, f"the site gives no video at this URL (it answers {status:d})", hint=CHECK_URL)


def by_words(words: str) -> Failure:
    """What yt-dlp says of a video in the words of its extractors: none of them is shown, for they may hold URLs."""
    for pattern, failure in _BY_WORDS:
        if re.search(pattern, words, re.IGNORECASE):
            return Failure(failure.code, failure.message, hint=failure.hint)
    return no_video()


def gone() -> Failure:
    return Failure(Code.NOT_FOUND, "the site says that there is no such video (any more)", hint=CHECK_URL)


def site_down(how: str) -> Failure:
    return Failure(Code.RETRYABLE_ERROR, f"the site can't be reached now: {how}")


def unsupported() -> Failure:
    return Failure(
        Code.SOURCE_UNREADABLE,
        "this service fetches no videos from that site",
        hint="Use a site that yt-dlp knows by name (the operator can allow others with YTDLP_GENERIC), or upload the file.",
    )


def no_video() -> Failure:
    return Failure(Code.SOURCE_UNREADABLE, "there is no video that can be fetched on that page", hint=CHECK_URL)


def geo_blocked() -> Failure:
    return Failure(Code.SOURCE_FORBIDDEN, "the site does not show this video where this service runs", hint=FILE)


def live() -> Failure:
    return Failure(
        Code.SOURCE_UNREADABLE, "live streams are not cut: this one has not ended, or not begun", hint="Wait for the recording of it."
    )


def playlist() -> Failure:
    return Failure(Code.SOURCE_UNREADABLE, "the URL is of a playlist or a channel, not of one video", hint=ONE_VIDEO)


def protected() -> Failure:
    return Failure(Code.SOURCE_FORBIDDEN, "the video is encrypted with DRM", hint="Protected videos can't be cut.")


def unknown_protocol() -> Failure:
    return Failure(Code.SOURCE_UNREADABLE, "the site sends this video by a protocol that this service does not read", hint=FILE)


def no_format() -> Failure:
    return Failure(
        Code.SOURCE_UNREADABLE, "the site offers this video in no format that this service asks for", hint="The operator sets YTDLP_FORMAT."
    )


_FORBIDDEN = Code.SOURCE_FORBIDDEN
_BY_WORDS: tuple[tuple[str, Failure], ...] = (
    (
        r"not a (?:ro)?bot|captcha|unusual traffic|cloudflare|anti-?bot|bot (?:check|protection|detection)",
        Failure(_FORBIDDEN, "the site wants proof that a person asks", hint=COOKIES),
    ),
    (r"\bdrm\b", protected()),
    (r"requested format is not available|no video formats", no_format()),
    (r"geo.?restrict|available (?:in|from) your (?:country|location|region)|blocked it in your country", geo_blocked()),
    (
        r"\bage\b.{0,20}(?:restrict|verif)|confirm your age|inappropriate for some",
        Failure(_FORBIDDEN, "the video is age-restricted", hint=COOKIES),
    ),
    (r"private", Failure(_FORBIDDEN, "the video is private", hint=COOKIES)),
    (r"members?.only|premium|purchase|subscri|paid|rent\b", Failure(_FORBIDDEN, "the video is for paying members only", hint=COOKIES)),
    (
        r"log.?in|sign.?in|registered users|authenticat|password|--cookies|account",
        Failure(_FORBIDDEN, "the site shows this video to signed-in users only", hint=COOKIES),
    ),
    (r"live event will begin|premieres? (?:in|will)|not currently live|is offline|live stream", live()),
    (r"removed|deleted|no longer|does ?n[o']t exist|unavailable|not found|terminated|not available", gone()),
    (r"timed? ?out|connection|temporar|try again later|rate.?limit", site_down("yt-dlp gave up")),
)
