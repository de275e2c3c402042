"""The files of the web tool as they are served: each under its own path, unchanged until they change, under a strict policy."""

import re
from html import unescape

import msgspec
import pytest

from libs.common.runtime.settings import load
from services.api.settings import ApiSettings
from services.api.web_pages import FOLDER, KINDS, storage_origins
from tests.api.conftest import Running

NOWHERE = {"DATABASE_URL": "postgresql://nowhere.invalid/x", "NATS_URL": "nats://nowhere.invalid"}
FILES = sorted(file.name for file in FOLDER.iterdir() if file.suffix in KINDS and not file.name.startswith("operator"))


@pytest.mark.parametrize("name", FILES)
async def test_a_file_is_served_once_and_then_only_when_it_has_changed(api: Running, name: str) -> None:
    path = "/" if name == "index.html" else f"/web/{name}"
    answer = await api.http.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (200, f"{KINDS['.' + name.rpartition('.')[2]]}; charset=utf-8")
    plain = await api.http.get(path, headers={"accept-encoding": "identity"})
    assert (plain.content, plain.headers["vary"], "content-encoding" in plain.headers) == (answer.content, "accept-encoding", False)
    assert (answer.headers["content-encoding"], plain.headers["etag"] != answer.headers["etag"]) == ("gzip", True)
    again = await api.http.get(path, headers={"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", answer.headers["etag"])
    assert (await api.http.get(path, headers={"if-none-match": '"older"'})).content == answer.content
    head = await api.http.head(path)
    assert (head.status_code, head.content, head.headers["etag"]) == (200, b"", answer.headers["etag"])


async def test_nothing_else_is_served_from_the_folder(api: Running) -> None:
    for path in ("/web/", "/web/nothing.js", "/web/%2e%2e/app.py", "/web/../app.py", "/web/index.html", "/operator", "/web/operator.js"):
        assert (await api.http.get(path)).status_code == 404, path


async def test_the_policy_lets_only_our_own_scripts_run_and_the_page_has_no_other(api: Running) -> None:
    answer = await api.http.get("/")
    policy = dict(part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))
    assert {name: policy[name] for name in ("default-src", "script-src", "style-src", "base-uri", "frame-ancestors")} == {
        **dict.fromkeys(("default-src", "base-uri", "frame-ancestors"), "'none'"),
        **dict.fromkeys(("script-src", "style-src"), "'self'"),
    }
    assert policy["connect-src"] == f"'self' {api.environ['S3_ENDPOINT_URL']}"
    assert policy["require-trusted-types-for"] == "'script'"
    assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:|<script(?! type=\"module\" src=\"/web/)", answer.text)


def test_the_page_asks_for_all_its_modules_at_once() -> None:
    asked = set(re.findall(r'<link rel="modulepreload" href="/web/(.+?)">', (FOLDER / "index.html").read_text()))
    needed, seen = {"app.js"}, set[str]()
    while needed - seen:
        name = (needed - seen).pop()
        seen.add(name)
        needed |= set(re.findall(r'from "\./(.+?)"', (FOLDER / name).read_text()))
    assert asked == needed - {"app.js"}


def test_no_script_parses_html_or_text_as_code() -> None:
    for name in FILES:
        text = (FOLDER / name).read_text()
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|DOMParser", text), name
        assert not re.search(r"https?://(?!www\.w3\.org/)[a-z]", text), name


async def test_the_page_knows_the_limits_before_anybody_shows_a_key(api: Running) -> None:
    (told,) = re.findall(r'<meta name="clipstream" content="([^"]*)">', (await api.http.get("/")).text)
    facts = msgspec.json.decode(unescape(told))
    assert (facts["maxClipSeconds"], facts["minClipSeconds"], facts["maxInputBytes"], facts["urls"]) == (120, 0.5, 300 * 2**20, False)
    assert facts["languages"] == ["en"]


@pytest.mark.parametrize(
    ("variables", "origins"),
    [
        ({"S3_ENDPOINT_URL": "http://minio:9000"}, ["http://minio:9000"]),
        ({"S3_ENDPOINT_URL": "http://minio:9000", "S3_PUBLIC_ENDPOINT_URL": "https://files.example.com/"}, ["https://files.example.com"]),
        ({"S3_ENDPOINT_URL": "https://user:word@s3.example.com/x"}, ["https://s3.example.com"]),
        ({"S3_ENDPOINT_URL": "http://[::1]:9000"}, ["http://[::1]:9000"]),
        ({"S3_ENDPOINT_URL": "https://x; script-src *"}, []),
        ({"S3_ENDPOINT_URL": "https://x,y"}, []),
        ({"S3_REGION": "eu-west-1"}, ["https://s3.amazonaws.com", "https://s3.eu-west-1.amazonaws.com"]),
    ],
    ids=["inside", "public", "with a path", "IPv6", "hostile", "a list", "AWS"],
)
def test_the_policy_names_where_signed_urls_lead(variables: dict[str, str], origins: list[str]) -> None:
    assert storage_origins(load(ApiSettings, {**NOWHERE, **variables})) == origins
