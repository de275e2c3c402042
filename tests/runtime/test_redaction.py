"""Redaction: no secret that has the form of one, or whose value is known, stays in a text; what is none stays as it is."""

import string
import time
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.common.runtime.redaction import _SECRETS, _may_hold_secrets, known_secrets, redacted, without

FORMS = [
    "postgresql://clip:{}@127.0.0.1:5432/clips",
    "nats://user:{}@nats:4222,nats://user:{}@other:4222",
    "nats://{}@nats:4222",
    "https://s3/bucket/key?X-Amz-Credential={}&X-Amz-Signature={}&X-Amz-Expires=600&X-Amz-Security-Token={}",
    "https://s3/bucket/key?AWSAccessKeyId={}&Signature={}&Expires=1",
    "https://storage.test/b/o?GoogleAccessId={}&X-Goog-Signature={}",
    "https://account.blob.test/c/b?sv=2024-01-01&se=2026-01-01&sig={}",
    "https://cdn.test/film.m3u8?Policy={}&Key-Pair-Id={}&Signature={}",
    "https://rr1.video.test/videoplayback?expire=1&sig={}&lsig={}",
    "https://rr1.video.test/videoplayback/expire/1/sig/{}/lsig/{}/file",
    "https://site.test/page?whatever={}#access_token={}",
    "https://site.test/?{}0123456789abcdefghij",
    "/bucket/key?sig={}&key={}",
    "X-Amz-Signature%3D{}%26x",
    "Authorization: Bearer {}",
    "authorization: basic {}1==",
    "Authorization: AWS4-HMAC-SHA256 Credential={}/20261121/s3, SignedHeaders=host, Signature={}",
    "{{'Authorization': 'Bearer {}', 'X-Api-Key': '{}'}}",
    '{{"Cookie": "session={}; other={}"}}',
    "Set-Cookie: a={}; Path=/; HttpOnly",
    "X-Api-Key: {}",
    "password={} host=db",
    "DB_PASSWORD={}",
    '{{\\"access_token\\": \\"{}\\"}}',
    "aws_secret_access_key = {}",
    "gsk_{}",
    "ck_0b0e4c1e-0000-4000-8000-000000000000_{}",
    "WHSEC_{}",
    "ghp_{}",
    "eyJhbGciOi{}.eyJzdWIiOi{}.{}",
    "-----BEGIN RSA PRIVATE KEY-----\n{}\n{}\n-----END RSA PRIVATE KEY-----",
    "-----BEGIN PRIVATE KEY-----\n{}",
    "-----BEGIN PGP PRIVATE KEY BLOCK-----\n{}\n-----END PGP PRIVATE KEY BLOCK-----",
    '{{"password": "some words, {}"}}',
    "password: 'it is \\'{}'",
    '{{\\"password\\": \\"some words {}\\"}}',
    "host=db password='some words {}' user=me",
    '{{"user": "me", "pass": "{}"}}',
    "password: |\n  {}",
    "secret: !!binary {}",
    "access_token => {}",
    "%22password%22%3A%22{}%22",
    "token%253D{}%2526x",
    "password=\\n{}",
    "[(b'authorization', b'Token {}'), (b'x-api-key', b'{}')]",
    '[["X-Api-Key", "{}"]]',
    'Authorization: Digest username="me", response="{}"',
    'Cookie: a="b"; c={}',
    "https:\\/\\/me:{}@s3\\/key?X-Amz-Signature={}",
    "https%3A%2F%2Fme%3A{}%40s3%2Fkey%3Fsig%3D{}",
    "https%253A%252F%252Fs3%252Fkey%253Fsig%253D{}",
    "https://s3/key?a=it's{}&sig=b'{}",
    "https://site.test/page;jsessionid={};sig={}",
    "https://me:a#b@{}@site.test/",
    "GET //me:{}@site.test/",
    "postgresql://clip:a/b#c?d'{}@db/clips",
    "postgresql://clip:a@b@{}@db/clips,nats://u:{}@h",
]
secrets = st.text(string.ascii_letters + string.digits, min_size=12, max_size=40).map("q7Z".__add__)
plain = st.text(st.characters(codec="utf-8", categories=("L", "N", "Zs")), max_size=40)


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=25)
@given(secret=secrets, before=plain, after=plain)
def test_a_secret_in_any_of_its_forms_is_redacted_wherever_it_stands(form: str, secret: str, before: str, after: str) -> None:
    text = f"{before} {form.format(*[secret] * 3)} {after}"
    assert secret not in redacted(text)
    assert redacted(text).startswith(f"{before} ")


@pytest.mark.parametrize("key", ["AKIAIOSFODNN7EXAMPLE", "ASIAIOSFODNN7EXAMPLE"])
def test_the_names_of_aws_keys_are_redacted(key: str) -> None:
    assert redacted(f"refused: {key} is unknown") == "refused: *** is unknown"


@given(plain)
def test_ordinary_text_is_left_as_it_is(text: str) -> None:
    assert redacted(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "http://127.0.0.1:8080 is up",
        "the API key: see the docs",
        "clips.requested -> source.ready in 12.5 s, 3 of 4",
        "GET /api/jobs/0b0e4c1e-0000-4000-8000-000000000000",
        "uploads/0b0e4c1e-0000-4000-8000-000000000000/talk.mp4",
        'File "/work/services/api/jobs.py", line 12, in make',
        "basic understanding, digest of the day",
        "token bucket; the password is wrong",
        "https://packages.test:4873/@scope/name@2",
        "the first pass: 3 of 4; bypass=on",
        "('clip', 'asr'), ['path', 'name']",
        "it's at https://site.test/page, 'and' more",
    ],
)
def test_what_our_lines_say_day_by_day_is_left_as_it_is(text: str) -> None:
    assert redacted(text) == text


def test_of_a_url_stays_what_is_no_secret() -> None:
    assert redacted("postgresql://clip:pw@db:5432/clips?sslmode=require") == "postgresql://clip:***@db:5432/clips?sslmode=***"


@given(st.text(max_size=60) | st.sampled_from(FORMS))
def test_the_quick_look_never_passes_over_what_the_pattern_finds(text: str) -> None:
    assert _may_hold_secrets(text) or not _SECRETS.search(text)


@pytest.mark.parametrize(
    "piece",
    [
        "a",
        "://",
        "a://a:",
        "a://b@",
        "a://?=&",
        "token ",
        "token:'",
        "eyJ",
        "bearer ",
        "basic a",
        "ck_a-",
        "AKIA",
        "key-",
        "?s=",
        "-----BEGIN PRIVATE KEY-----",
        "aa://b:c",
        " //b:c",
        "aa://" + "b" * 99 + ":" + "c" * 250,
        "token='\\\\",
        'cookie:="a',
        '="',
        "['token','",
        "['" + "a" * 40 + "token",
        "a%25253a%2f",
        "token%2525",
        "token=>|",
        "token=!a ",
        "\\\\/",
    ],
)
def test_time_grows_with_the_text_and_no_faster(piece: str) -> None:
    def seconds(size: int) -> float:
        text = piece * (size // len(piece))
        began = time.process_time()
        redacted(text)
        return time.process_time() - began

    assert seconds(128_000) < 20 * max(seconds(16_000), 0.005)


@given(st.text(min_size=8, max_size=30).filter(lambda text: "://" not in text), plain)
def test_a_known_value_is_found_as_it_is_quoted_and_in_a_repr(value: str, around: str) -> None:
    known = known_secrets([value])
    for spelling in (value, quote(value, safe="") if value.isascii() else value, repr(value)):
        assert value not in without(known, f"{around}{spelling}{around}") or value in around * 2


@pytest.mark.parametrize(
    ("url", "secret"),
    [
        ("postgresql://clip:s3cr%2Fetpw@db/x", "s3cr/etpw"),
        ("nats://atoken123@n:4222", "atoken123"),
        ("nats://a@h,nats://u:password2@h", "password2"),
        ("postgresql://clip:a/s3cr#etpw1@db/x", "a/s3cr#etpw1"),
        ("postgresql://clip:a/s3cret?pw@db/x", "s3cret"),
        ("nats://u:pass,word2@h,nats://a@h", "pass,word2"),
        ("postgresql://db/x?user=clip&password=s3cretpw", "s3cretpw"),
    ],
)
def test_of_a_url_only_what_is_secret_in_it_is_looked_for(url: str, secret: str) -> None:
    known = known_secrets([url])
    assert without(known, f"wrong: {secret}!") == "wrong: ***!"
    assert without(known, "db clip host") == "db clip host"


def test_a_short_value_is_not_looked_for_since_ordinary_words_hold_it() -> None:
    assert without(known_secrets(["clip"]), "clips are cut") == "clips are cut"
