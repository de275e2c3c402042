"""What browsers are told with every answer, and which pages of other origins may read one."""

import asyncio
import re

import httpx
import pytest

from libs.common.runtime.settings import SettingsError, load
from services.api.settings import ApiSettings
from tests.api.conftest import Running, running

PAGE = "https://app.example.com"
PATHS = ["/healthz", "/nothing", "/schema/openapi.json", "/api/jobs/x", "/metrics"]


def preflight(origin: str = PAGE) -> dict[str, str]:
    return {"origin": origin, "access-control-request-method": "POST", "access-control-request-headers": "authorization"}


def cors_of(answer: httpx.Response) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name.startswith("access-control-")}


@pytest.mark.parametrize("path", PATHS)
async def test_every_answer_keeps_browsers_from_making_anything_of_it(api: Running, path: str) -> None:
    headers = (await api.http.get(path)).headers
    assert headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert (headers["cross-origin-resource-policy"], headers["referrer-policy"]) == ("same-origin", "no-referrer")
    assert "strict-transport-security" not in headers


async def test_a_page_of_ours_keeps_its_own_policy(api: Running) -> None:
    policies = (await api.http.get("/schema")).headers.get_list("content-security-policy")
    assert [re.search("style-src", policy) is not None for policy in policies] == [True]


async def test_https_is_insisted_on_only_where_a_trusted_proxy_says_that_it_was_used(api: Running) -> None:
    https = {"x-forwarded-proto": "https"}
    assert "strict-transport-security" not in (await api.http.get("/healthz", headers=https)).headers
    async with running(api.environ, TRUSTED_PROXIES="127.0.0.1") as (http, _):
        assert (await http.get("/healthz", headers=https)).headers["strict-transport-security"] == "max-age=31536000"
        assert "strict-transport-security" not in (await http.get("/healthz", headers={"x-forwarded-proto": "http"})).headers


@pytest.mark.parametrize("path", PATHS)
async def test_no_other_origin_is_let_in_unless_it_is_named(api: Running, path: str) -> None:
    assert cors_of(await api.http.get(path, headers={"origin": PAGE})) == {}
    assert cors_of(await api.http.options(path, headers=preflight())) == {}


async def test_a_named_origin_may_read_every_answer_and_no_other_one(api: Running) -> None:
    async with running(api.environ, CORS_ALLOW_ORIGINS=f"{PAGE}, http://localhost:3000") as (http, _):
        for path in PATHS:
            answer = await http.get(path, headers={"origin": PAGE})
            assert answer.headers["access-control-allow-origin"] == PAGE
            assert {"location", "retry-after", "x-correlation-id"} <= set(answer.headers["access-control-expose-headers"].split(", "))
            assert "access-control-allow-credentials" not in answer.headers
            assert answer.headers["vary"] == "origin"
            allowed = await http.options(path, headers=preflight())
            assert (allowed.status_code, allowed.content) == (204, b"")
            assert allowed.headers["access-control-allow-origin"] == PAGE
            assert "DELETE" in allowed.headers["access-control-allow-methods"]
            assert "authorization" in allowed.headers["access-control-allow-headers"]
            for other in ("https://app.example.com.evil.test", "null", "https://APP.example.com", ""):
                stranger = await http.get(path, headers={"origin": other})
                assert cors_of(stranger) == cors_of(await http.options(path, headers=preflight(other))) == {}
                assert stranger.headers["vary"] == "origin"


async def test_any_origin_may_be_let_in_but_never_with_credentials(api: Running) -> None:
    async with running(api.environ, CORS_ALLOW_ORIGINS="*") as (http, _):
        answer = await http.options("/nothing", headers=preflight("https://anybody.test"))
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize(
    "wrong", ["app.example.com", "https://app.example.com/", "https://*.example.com", "HTTPS://app.example.com", "null"]
)
def test_an_origin_that_is_none_is_a_problem_of_the_configuration(servers: dict[str, str], wrong: str) -> None:
    with pytest.raises(SettingsError, match=r"CORS_ALLOW_ORIGINS: .* is no origin"):
        load(ApiSettings, {**servers, "CORS_ALLOW_ORIGINS": f"{PAGE},{wrong}"})


@pytest.mark.parametrize(
    "sent", [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"GET / HTTP/9\r\n\r\n", b"GET /\r\nhost x\r\n\r\n", b"\0" * 70_000]
)
async def test_what_is_no_http_is_refused_in_the_envelope(api: Running, sent: bytes) -> None:
    reader, writer = await asyncio.open_connection(api.http.base_url.host, api.http.base_url.port)
    writer.write(sent)
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    answer = httpx.Response(400, content=body, headers=[line.split(b": ", 1) for line in head.split(b"\r\n")[1:]])
    assert head.startswith(b"HTTP/1.1 400 Bad Request")
    assert answer.json()["error"]["code"] == "BAD_REQUEST"
    assert answer.json()["error"]["correlationId"] == answer.headers["x-correlation-id"]
    assert (answer.headers["content-type"], answer.headers["x-content-type-options"]) == ("application/json", "nosniff")
