"""OpenTelemetry's own variables: what is right in them, and that a wrong one is told without its secrets."""

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.util.re import parse_env_headers

from libs.common.runtime.collector import headers_in, headers_problem, url_problem
from libs.common.runtime.settings import CommonSettings, SettingsError, load

NEEDED = {"DATABASE_URL": "postgresql://me:hunter2@db/clips", "NATS_URL": "nats://nats"}
ENDPOINT, TRACES, HEADERS = (f"OTEL_EXPORTER_OTLP_{name}" for name in ("ENDPOINT", "TRACES_ENDPOINT", "HEADERS"))


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ({}, None),
        ({ENDPOINT: "http://otel:4318"}, "http://otel:4318/v1/traces"),
        ({ENDPOINT: "https://otel/prefix/"}, "https://otel/prefix/v1/traces"),
        ({ENDPOINT: "http://otel:4318", TRACES: "https://other/as/it/is"}, "https://other/as/it/is"),
        ({ENDPOINT: "http://otel:4318", "OTEL_SDK_DISABLED": "true"}, None),
    ],
    ids=["off", "common", "prefix", "own", "disabled"],
)
def test_spans_go_where_the_variables_say(given: dict[str, str], url: str | None) -> None:
    assert load(CommonSettings, NEEDED | given).traces_url == url


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({ENDPOINT: "otel:4318"}, ENDPOINT),
        ({ENDPOINT: "grpc://otel:4317"}, ENDPOINT),
        ({ENDPOINT: "http://"}, ENDPOINT),
        ({ENDPOINT: "http://me:hunter2@otel"}, ENDPOINT),
        ({ENDPOINT: "http://otel?key=hunter2"}, ENDPOINT),
        ({ENDPOINT: "http://otel:70000"}, ENDPOINT),
        ({ENDPOINT: "http://[::1"}, ENDPOINT),
        ({ENDPOINT: "http://otel", TRACES: "http://me:hunter2@otel/v1/traces"}, TRACES),
        ({ENDPOINT: "http://otel", HEADERS: "hunter2"}, HEADERS),
        ({ENDPOINT: "http://otel", HEADERS: "a=hunter2%0d%0ab"}, HEADERS),
        ({ENDPOINT: "http://otel", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "OTEL_EXPORTER_OTLP_PROTOCOL"),
    ],
    ids=["bare", "grpc", "hostless", "password", "query", "port", "broken", "own", "nameless", "lines", "protocol"],
)
def test_what_is_wrong_is_named_at_the_start_and_not_shown(given: dict[str, str], named: str) -> None:
    with pytest.raises(SettingsError, match=named) as caught:
        load(CommonSettings, NEEDED | given)
    assert "hunter2" not in str(caught.value)


def test_the_collectors_headers_are_secrets() -> None:
    settings = load(CommonSettings, NEEDED | {ENDPOINT: "http://otel", HEADERS: "authorization=Bearer%20hunter2"})
    assert settings.traces_headers == {"authorization": "Bearer hunter2"}
    assert "hunter2" not in repr(settings)
    assert "Bearer hunter2" in settings.secrets


def test_without_a_collector_nothing_of_it_matters() -> None:
    settings = load(CommonSettings, NEEDED | {HEADERS: "hunter2", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"})
    assert (settings.traces_url, settings.traces_headers) == (None, {})
    assert "hunter2" in settings.secrets


@given(st.text(alphabet='ab=,;% \t\r\n"%20é\x00', max_size=30))
def test_headers_that_we_take_the_sdk_takes_as_they_are_and_says_nothing_of_them(text: str) -> None:
    if headers_problem(text):
        return
    said: list[logging.LogRecord] = []
    parser = logging.getLogger("opentelemetry.util.re")
    parser.addFilter(hearing := lambda record: said.append(record) or False)
    try:
        assert parse_env_headers(text, liberal=True) == headers_in(text)
    finally:
        parser.removeFilter(hearing)
    assert said == []


@given(st.text(max_size=40))
def test_no_text_breaks_the_look_at_an_endpoint(text: str) -> None:
    assert url_problem(text) is None or isinstance(url_problem(text), str)
