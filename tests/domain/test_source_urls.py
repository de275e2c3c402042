"""Which URLs pass, by how they are written: every disguise of an inner address is refused, and every message says what to do."""

from ipaddress import IPv4Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.domain.addresses import is_public
from libs.common.domain.failures import Code, Failure
from libs.common.domain.source_urls import UrlRules, checked_host, checked_url, host_and_port, url_rules

PUBLIC = url_rules("", "", "80,443")


def refused(url: str, rules: UrlRules = PUBLIC) -> Code:
    with pytest.raises(Failure) as caught:
        checked_url(url, rules)
    assert caught.value.message
    return caught.value.code


@pytest.mark.parametrize(
    ("url", "onward"),
    [
        ("https://example.com", "https://example.com"),
        ("HTTPS://EXAMPLE.com./Watch?v=aB%2F#t=10", "https://example.com/Watch?v=aB%2F#t=10"),
        ("http://example.com:80/", "http://example.com/"),
        ("http://example.com:443/", "http://example.com:443/"),
        ("http://example.com:/x", "http://example.com/x"),
        ("https://bücher.example/ü?q=日", "https://xn--bcher-kva.example/%C3%BC?q=%E6%97%A5"),
        ("https://8.8.8.8/v.mp4", "https://8.8.8.8/v.mp4"),
        ("https://[2606:4700::1111]/v.mp4", "https://[2606:4700::1111]/v.mp4"),
        ("https://a_b.example.com?x=@y", "https://a_b.example.com?x=@y"),
    ],
)
def test_a_url_goes_on_in_one_way_of_writing_it(url: str, onward: str) -> None:
    assert checked_url(url, PUBLIC) == onward


@pytest.mark.parametrize(
    "url",
    """
    http://127.0.0.1/ http://127.0.0.1./ http://2130706433/ http://0x7f000001/ http://0x7f.0.0.1/ http://0177.0.0.1/ http://127.1/
    http://017700000001/ http://0/ http://0.0.0.0/ http://00000127.0.0.1/ http://127.0.0.0x1/ http://1.2.3.4.5/ http://4294967297/
    http://[::1]/ http://[::]/ http://[::ffff:127.0.0.1]/ http://[::ffff:7f00:1]/ http://[::127.0.0.1]/ http://[64:ff9b::7f00:1]/
    http://[2002:7f00:1::]/ http://[fe80::1%25eth0]/ http://[fec0::1]/ http://[fd00:ec2::254]/ http://[0:0:0:0:0:ffff:a9fe:a9fe]/
    http://１２７.0.0.1/ http://127。0。0。1/ http://127．0．0．1/ http://①②⑦.⓪.⓪.①/ http://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ/ http://%31%32%37.0.0.1/ http://127%2e0.0.1/
    http://localhost/ http://LOCALHOST./ http://a.localhost/ http://printer.local/ http://metadata.google.internal/ http://intranet/
    http://kubernetes.default.svc.cluster.local/ http://user@example.com/ http://user:pass@example.com/ http://example.com@127.0.0.1/
    http://@example.com/ http://example.com:22/ http://example.com:8080/ http://example.com:0/ https://example.com:99999/
    http://169.254.169.254/latest/meta-data/ http://168.63.129.16/ http://10.0.0.1/ http://192.168.1.1/ http://100.100.100.200/
    """.split(),  # noqa: SIM905, RUF001  a table reads best as a table; disguises are the point
)
def test_what_leads_inside_by_the_look_of_it_is_blocked(url: str) -> None:
    assert refused(url) == Code.SSRF_BLOCKED


@pytest.mark.parametrize(
    "url",
    [
        *("", "example.com", "/x", "//example.com/", "http:/example.com", "http:example.com", "http://", "http:///x", "http://:80/"),
        *("file:///etc/passwd", "ftp://example.com/", "gopher://example.com/", "data:text/plain,x", "javascript:x", "rtmp://example.com"),
        *("http://exam ple.com/", " http://example.com/", "http://example.com/\n", "http://example.com/\x00", "http://exa\tmple.com/"),
        *("http://example.com\\@127.0.0.1/", "http:\\\\example.com", "http://example.com/\u2028", "http://example.com/\ud800"),
        *("http://-a.example.com/", "http://a..example.com/", "http://example.com../", "http://[v1.x]/", "http://[::1/", "http://::1]/"),
        *(
            f"http://{'a' * 64}.com/",
            f"http://{'a.' * 130}com/",
            f"http://example.com/{'x' * 2048}",
            "http://faß.de/",
            "http://ex*mple.com/",
        ),
        "http://example.com/#__youtubedl_smuggle=%7B%7D",
    ],
)
def test_what_is_no_plain_http_url_is_refused(url: str) -> None:
    assert refused(url) == Code.VALIDATION_FAILED


@given(st.text(max_size=60).map("http://{}/".format))
def test_whatever_is_written_as_a_host_a_url_passes_as_a_plain_name_or_a_public_address_or_not_at_all(url: str) -> None:
    try:
        passed = checked_url(url, PUBLIC)
    except Failure:
        return
    assert passed.isascii()
    assert checked_url(passed, PUBLIC) == passed
    host = passed.split("/")[2].removesuffix(":443").strip("[]")
    assert ":" not in host or is_public(ip_address(host))


@given(st.integers(0, 2**32 - 1), st.sampled_from(["{0}", "{0:#x}", "0{0:o}", "{0:#010x}."]))
def test_no_address_passes_as_a_single_number(number: int, form: str) -> None:
    assert refused(f"http://{form.format(number)}/") == Code.SSRF_BLOCKED


@given(st.integers(0, 2**32 - 1).map(IPv4Address))
def test_a_dotted_address_passes_when_it_is_public(address: IPv4Address) -> None:
    if is_public(address):
        assert checked_url(f"http://{address}/", PUBLIC) == f"http://{address}/"
    else:
        assert refused(f"http://{address}/") == Code.SSRF_BLOCKED


@pytest.mark.parametrize("url", ["https://video.example/x", "https://a.b.video.example/", "https://VIDEO.example./", "https://8.8.4.4/"])
def test_a_host_of_the_list_and_its_subdomains_pass(url: str) -> None:
    assert checked_url(url, url_rules("*.video.example, 8.8.4.4", "", "443"))


@pytest.mark.parametrize(
    "url", ["https://example.com/", "https://notvideo.example/", "https://video.example.evil.com/", "https://8.8.8.8/"]
)
def test_any_other_host_is_forbidden_once_there_is_a_list(url: str) -> None:
    with pytest.raises(Failure, match=r"video\.example") as caught:
        checked_url(url, url_rules("video.example", "", "443"))
    assert caught.value.code == Code.SOURCE_FORBIDDEN


def test_what_leads_inside_is_blocked_even_when_it_is_on_the_list() -> None:
    assert refused("http://localhost/", url_rules("localhost", "", "80")) == Code.SSRF_BLOCKED


def test_an_operator_may_open_networks_inside_with_their_names_and_nothing_else() -> None:
    rules = url_rules("", "10.1.0.0/16, fd12::/16", "80,8080")
    for url in ("http://10.1.2.3:8080/", "http://[fd12::1]/", "http://media/", "http://media.internal/"):
        assert checked_url(url, rules) == url
    for url in ("http://10.2.0.1/", "http://[::ffff:10.1.2.3]/", "http://0x0a010203/", "http://127.0.0.1/"):
        assert refused(url, rules) == Code.SSRF_BLOCKED


@pytest.mark.parametrize(
    ("hosts", "networks", "ports", "wrong"),
    [("a b", "", "80", "a b"), ("", "10.0.0.1/8", "80", "10.0.0.1/8"), ("", "inside", "80", "inside"), ("", "", "80,http", "http")]
    + [("", "", port, port) for port in ("0", "65536", "-1", "８０")],  # noqa: RUF001  digits that int() takes
)
def test_a_wrong_setting_is_named(hosts: str, networks: str, ports: str, wrong: str) -> None:
    with pytest.raises(ValueError, match=wrong):
        url_rules(hosts, networks, ports)


def test_a_host_is_judged_the_same_with_and_without_brackets() -> None:
    assert checked_host("[2606:4700::1111]", 443, PUBLIC) == checked_host("2606:4700::1111", 443, PUBLIC) == ip_address("2606:4700::1111")
    assert host_and_port("[2606:4700::1111]:443", 80) == ("[2606:4700::1111]", 443)
