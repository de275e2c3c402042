"""No URL, redirect, page or manifest leads inside: canaries there count connections (findings B8, 30).

Their ports are allowed, and so is the site's address: what keeps us from them is theirs.
"""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from libs.common.domain.failures import Code
from libs.common.runtime.nursery import Nursery
from tests.resolver.visiting import Visitor, open_visitor
from tests.sites.packagings import packaged
from tests.sites.site import Canary, open_canary

DISGUISES = [
    "127.0.0.2",
    "2130706434",
    "0x7f000002",
    "0177.0.0.2",
    "127.2",
    "[::ffff:127.0.0.2]",
    "[::ffff:7f00:2]",
    "127.0.0.2.",
    "[64:ff9b::7f00:2]",
]
ELSEWHERE = ["http://169.254.169.254/latest/meta-data/", "http://[fd00:ec2::254]/", "http://10.0.0.1/", "http://[::]/", "http://0.0.0.0/"]
MANIFESTS = ["hls-segment", "hls-key", "hls-map", "hls-variant", "hls-sound", "dash-segment", "dash-init", "dash-file"]
REFUSALS = {Code.SSRF_BLOCKED, Code.VALIDATION_FAILED}


@pytest.fixture
async def canary() -> AsyncIterator[Canary]:
    async with open_canary() as opened:
        yield opened


@pytest.fixture
async def baited(films: Path, tmp_path: Path, children: Nursery, canary: Canary) -> AsyncIterator[Visitor]:
    async with open_visitor(films, tmp_path, children, canary.port) as visitor:
        yield visitor


@pytest.mark.parametrize("host", DISGUISES)
async def test_no_disguise_of_an_address_is_visited(baited: Visitor, canary: Canary, host: str):
    refused = await baited.refusal(f"http://{host}:{canary.port}/film.mp4")
    assert refused.code in REFUSALS
    assert canary.connections == 0


@pytest.mark.parametrize("host", DISGUISES)
async def test_no_disguise_in_a_redirect_is_followed(baited: Visitor, canary: Canary, host: str):
    refused = await baited.refusal(baited.site.url("/redirect/302", target=f"http://{host}:{canary.port}/film.mp4"))
    assert not refused.retryable
    assert canary.connections == 0


@pytest.mark.parametrize("url", ELSEWHERE)
async def test_metadata_and_private_networks_are_not_visited(baited: Visitor, url: str):
    assert (await baited.refusal(baited.site.url("/redirect/302", target=url))).code is Code.SSRF_BLOCKED


@pytest.mark.parametrize("page", ["og", "json-ld", "video", "source"])
async def test_no_page_leads_inside(baited: Visitor, canary: Canary, page: str):
    assert (await baited.refusal(baited.site.url(f"/page/{page}", target=canary.url()))).code is Code.SSRF_BLOCKED
    assert canary.connections == 0


@pytest.mark.parametrize("kind", MANIFESTS)
async def test_no_manifest_leads_inside(baited: Visitor, canary: Canary, kind: str):
    refused = await baited.refusal(baited.site.url(f"/manifest/{kind}", target=canary.url("/segment.ts")), start=1.0, end=3.0)
    assert not refused.retryable
    assert canary.connections == 0


@pytest.mark.parametrize(
    "target", ["file:///etc/passwd", "ftp://127.0.0.2/x", "gopher://127.0.0.2/x", "data:text/plain,x", "javascript:alert(1)"]
)
async def test_no_other_scheme_is_followed(baited: Visitor, target: str):
    for url in (baited.site.url("/redirect/302", target=target), baited.site.url("/manifest/hls-segment", target=target)):
        assert not (await baited.refusal(url, start=1.0, end=3.0)).retryable


async def test_a_port_that_is_not_ordinary_is_not_visited(visitor: Visitor, canary: Canary):
    refused = await visitor.refusal(visitor.site.url("/redirect/302", target=canary.url()))
    assert refused.code is Code.SSRF_BLOCKED
    assert canary.connections == 0


async def test_user_names_in_urls_lead_nowhere(baited: Visitor, canary: Canary):
    url = baited.site.url("/redirect/302", target=f"http://{baited.site.host}:{baited.site.port}@{canary.host}:{canary.port}/")
    assert not (await baited.refusal(url)).retryable
    assert canary.connections == 0


async def test_the_guard_lets_what_is_allowed_through(baited: Visitor, short: Path):
    await baited.fetch(baited.site.file(packaged(short, "faststart")))
