"""Settings from environment variables: the only module that reads the environment.

Every problem is named at once, secrets never. `describe` is what docs/configuration.md is generated from.
"""

import os
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn, TypeVar, get_type_hints

import msgspec
from msgspec import Meta

from libs.common.domain.retry import RetryPolicy
from libs.common.domain.source_urls import UrlRules, url_rules
from libs.common.runtime import collector

Positive = Annotated[float, Meta(gt=0)]
Count = Annotated[int, Meta(ge=1)]
Port = Annotated[int, Meta(ge=0, le=65535)]


class Secret(str):
    """A string that does not show itself: repr, str.format and logs give ***. `reveal` gives the value."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"

    def __str__(self) -> str:
        return "***"

    def __format__(self, spec: str) -> str:
        return "***"

    def reveal(self) -> str:
        return str.__str__(self)


class CommonSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What every service reads. A field is the environment variable of the same name in capitals."""

    database_url: Annotated[Secret, Meta(description="Postgres, as postgresql://user:password@host:port/name")]
    nats_url: Annotated[Secret, Meta(description="NATS servers, comma-separated")]
    nats_api_prefix: Annotated[str, Meta(description="Where JetStream is asked; CLIPSTREAM.API with users.conf, in a stage")] = "$JS.API"
    nats_monitor_urls: Annotated[str, Meta(description="Monitoring addresses of NATS, comma-separated; they show whether it syncs")] = ""
    s3_endpoint_url: Annotated[str | None, Meta(description="S3 server; unset for AWS itself")] = None
    s3_public_endpoint_url: Annotated[
        str | None, Meta(description="Where clients reach S3, for signed URLs; the endpoint above if unset")
    ] = None
    s3_access_key_id: Annotated[Secret | None, Meta(description="Unset: the AWS credentials chain")] = None
    s3_secret_access_key: Annotated[Secret | None, Meta(description="Unset: the AWS credentials chain")] = None
    s3_region: Annotated[str, Meta(description="S3 region")] = "us-east-1"
    s3_sources_bucket: Annotated[str, Meta(description="Bucket of uploads and sources")] = "clipstream-sources"
    s3_results_bucket: Annotated[str, Meta(description="Bucket of clips and subtitles")] = "clipstream-results"
    storage_upload_attempts: Annotated[Count, Meta(description="Tries of one S3 request")] = 4
    log_level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], Meta(description="Least level that is logged")] = "INFO"
    environment: Annotated[Literal["local", "production"], Meta(description="production refuses streams that could lose work")] = "local"
    stream_replicas: Annotated[Literal[1, 3, 5], Meta(description="Replicas of the streams; 3 in production")] = 1
    health_port: Annotated[Port, Meta(description="Internal port of /healthz, /readyz and /metrics; 0 takes a free one")] = 0
    health_host: Annotated[str, Meta(description="Address that the internal port listens on")] = "127.0.0.1"
    scratch_dir: Annotated[Path, Meta(description="Folder for the files of the work in hand")] = Path("/tmp/clipstream")  # noqa: S108
    keep_failed: Annotated[bool, Meta(description="Keep the scratch folder of a failed attempt")] = False
    keep_scratch_on_success: Annotated[bool, Meta(description="Keep the scratch folder of a finished attempt")] = False
    worker_max_concurrency: Annotated[Count, Meta(description="Jobs that one process works on at once")] = 4
    worker_shutdown_timeout_ms: Annotated[Count, Meta(description="Time that SIGTERM leaves to the work in hand")] = 15000
    queue_max_attempts: Annotated[Count, Meta(description="Attempts of one stage before its message is dead-lettered")] = 3
    queue_retry_backoff_ms_base: Annotated[Count, Meta(description="First back-off, doubled each attempt, with full jitter")] = 1000
    queue_retry_backoff_ms_max: Annotated[Count, Meta(description="Longest back-off")] = 60000
    queue_ack_wait_sec: Annotated[
        Positive, Meta(description="Silence after which a message goes to another worker; the same in every service")
    ] = 30
    queue_max_deliver: Annotated[
        Count, Meta(description="Deliveries of one message, the last net beneath the attempts; the same in every service")
    ] = 20
    worker_queue_high_watermark: Annotated[
        Count, Meta(description="Messages in the work stream from which on the API refuses new jobs with 503 BACKPRESSURE")
    ] = 500
    scratch_min_free_mb: Annotated[
        Count, Meta(description="Free space on the disk of SCRATCH_DIR, in MiB, below which a worker takes no more work")
    ] = 256
    scratch_max_mb: Annotated[
        Count | None, Meta(description="Use of SCRATCH_DIR, in MiB, above which a worker takes no more work; unset: as the disk allows")
    ] = None
    fault_points_dir: Annotated[
        Path | None, Meta(description="Tests only: folder of faults to meet between two steps (fault_points.py); refused in production")
    ] = None
    clip_max_runtime_sec: Annotated[Count, Meta(description="Longest run of one media command, and of a stage's attempt")] = 600
    ffmpeg_bin: Annotated[str, Meta(description="ffmpeg program")] = "ffmpeg"
    ffprobe_bin: Annotated[str, Meta(description="ffprobe program")] = "ffprobe"
    max_clip_seconds: Annotated[Positive, Meta(description="Longest clip")] = 120
    min_duration_sec: Annotated[Positive, Meta(description="Shortest clip")] = 0.5
    max_input_mb: Annotated[Count, Meta(description="Largest source, in MiB")] = 1024
    max_clip_input_duration_sec: Annotated[Positive, Meta(description="Longest source, in seconds")] = 7200
    enable_ytdlp: Annotated[bool, Meta(description="Take sources by URL too, which yt-dlp reads")] = False
    allowlist_hosts: Annotated[
        str, Meta(description="Hosts that a source's URL may name, comma-separated, with their subdomains; unset: any public one")
    ] = ""
    allowlist_networks: Annotated[
        str, Meta(description="Networks (10.1.0.0/16, …) that sources and webhooks may be fetched from though they are not public")
    ] = ""
    allowlist_ports: Annotated[str, Meta(description="Ports that a source's URL may name, comma-separated")] = "80,443"
    asr_provider: Annotated[Literal["local", "groq"], Meta(description="Who transcribes: local (faster-whisper) or groq")] = "local"
    asr_model: Annotated[
        str, Meta(description="Local: folder of a CTranslate2 Whisper model, or tiny.en, which comes with the local stack")
    ] = "tiny.en"
    groq_model: Annotated[str, Meta(description="Groq: the model")] = "whisper-large-v3-turbo"
    signed_url_ttl_sec: Annotated[Count, Meta(description="Life of a signed URL")] = 600
    retention_hours: Annotated[Positive, Meta(description="Hours until a job and its files are deleted")] = 72
    otel_exporter_otlp_endpoint: Annotated[
        str | None, Meta(description="OpenTelemetry collector, http://host:4318; unset: no traces (docs/tracing.md)")
    ] = None
    otel_exporter_otlp_traces_endpoint: Annotated[
        str | None, Meta(description="Where traces are sent if not to /v1/traces of the endpoint above: the whole URL")
    ] = None
    otel_exporter_otlp_headers: Annotated[
        Secret | None, Meta(description="What the collector asks for: name=value, several parted by commas, percent-encoded")
    ] = None
    otel_exporter_otlp_protocol: Annotated[str, Meta(description="http/protobuf is the one that there is")] = collector.PROTOCOL
    otel_sdk_disabled: Annotated[bool, Meta(description="No traces, whatever the others say")] = False

    def problems(self) -> list[str]:
        """What is wrong with the settings together, in the words of the variables; a service adds its own."""
        rules = {
            "ALLOWLIST_HOSTS": (self.allowlist_hosts, "", ""),
            "ALLOWLIST_NETWORKS": ("", self.allowlist_networks, ""),
            "ALLOWLIST_PORTS": ("", "", self.allowlist_ports),
        }
        found = [f"{name}: {problem}" for name, texts in rules.items() if (problem := _rules_problem(*texts))]
        armed = self.fault_points_dir and self.environment == "production"
        return [*found, *(["FAULT_POINTS_DIR is for tests: it must not be set in production"] if armed else []), *self._trace_problems()]

    def _trace_problems(self) -> list[str]:
        headers = self.otel_exporter_otlp_headers.reveal() if self.otel_exporter_otlp_headers else ""
        url, own = self.traces_url, bool(self.otel_exporter_otlp_traces_endpoint)
        return collector.problems(url, headers, self.otel_exporter_otlp_protocol, is_own=own) if url else []

    @property
    def traces_url(self) -> str | None:
        """Where spans are sent; None for no traces."""
        own, common = self.otel_exporter_otlp_traces_endpoint, self.otel_exporter_otlp_endpoint
        return None if self.otel_sdk_disabled else collector.traces_url(common, own)

    @property
    def traces_headers(self) -> dict[str, str]:
        headers = self.otel_exporter_otlp_headers
        return collector.headers_in(headers.reveal()) if headers and self.traces_url else {}

    @property
    def url_rules(self) -> UrlRules:
        """Which URLs may be fetched, and which addresses connected to."""
        return url_rules(self.allowlist_hosts, self.allowlist_networks, self.allowlist_ports)

    @property
    def retry(self) -> RetryPolicy:
        """When a failed attempt is tried again; its delays are seconds."""
        return RetryPolicy(self.queue_max_attempts, self.queue_retry_backoff_ms_base / 1000, self.queue_retry_backoff_ms_max / 1000)

    @property
    def monitors(self) -> list[str]:
        return [url.strip() for url in self.nats_monitor_urls.split(",") if url.strip()]

    @property
    def secrets(self) -> list[str]:
        """The values that no log may show."""
        values = (getattr(self, name) for name in self.__struct_fields__)
        return [*(value.reveal() for value in values if isinstance(value, Secret)), *self.traces_headers.values()]

    @property
    def worker(self) -> str:
        """This process, as events and logs name it."""
        return f"{socket.gethostname()}:{os.getpid()}"


def _rules_problem(hosts: str, networks: str, ports: str) -> str | None:
    try:
        url_rules(hosts, networks, ports)
    except ValueError as error:
        return str(error)
    return None


Loaded = TypeVar("Loaded", bound=CommonSettings)


class SettingsError(Exception):
    """Every problem found, one a line, without the values of secrets."""


def load(cls: type[Loaded], environ: Mapping[str, str]) -> Loaded:
    """Settings from variables; an empty variable counts as unset. Raises SettingsError with every problem at once."""
    values: dict[str, Any] = {}
    problems: list[str] = []
    for field in msgspec.structs.fields(cls):
        name = field.name.upper()
        text = environ.get(name, "").strip()
        if text:
            _take(values, problems, field.name, text, field.type)
        elif field.required:
            problems.append(f"{name} is required")
    settings = None if problems else cls(**values)
    problems += settings.problems() if settings else []
    if settings is None or problems:
        raise SettingsError("\n".join(problems))
    return settings


def _take(values: dict[str, Any], problems: list[str], name: str, text: str, kind: Any) -> None:
    try:
        values[name] = msgspec.convert(_boolean(text) if _is_switch(kind) else text, kind, strict=False, dec_hook=_hook)
    except msgspec.ValidationError as error:
        problems.append(f"{name.upper()}: {error}")


def _is_switch(kind: Any) -> bool:
    return getattr(kind, "__origin__", kind) is bool


def _boolean(text: str) -> str:
    """on/off and yes/no as people write them; msgspec knows true/false and 1/0."""
    return {"on": "true", "yes": "true", "off": "false", "no": "false"}.get(text.lower(), text)


def _hook(kind: type, value: object) -> object:
    if kind in (Secret, Path):
        return kind(str(value))
    raise NotImplementedError(kind)


def from_environment(cls: type[Loaded]) -> Loaded:
    """The process's settings, or an exit with every problem on stderr."""
    try:
        return load(cls, os.environ)
    except SettingsError as error:
        _refuse(str(error))


def _refuse(problems: str) -> NoReturn:
    sys.exit("Clipstream can't start; correct these environment variables:\n  " + problems.replace("\n", "\n  "))


def describe(cls: type[CommonSettings]) -> list[tuple[str, str, str]]:
    """(variable, default, meaning) of each setting; a required one has the default 'required'."""
    hints = get_type_hints(cls, include_extras=True)
    return [(f.name.upper(), _default(f), _meaning(hints[f.name])) for f in msgspec.structs.fields(cls)]


def _default(field: msgspec.structs.FieldInfo) -> str:
    if field.required:
        return "required"
    return "unset" if field.default in (None, "") else str(field.default).lower() if isinstance(field.default, bool) else str(field.default)


def _meaning(hint: Any) -> str:
    return next((m.description for m in getattr(hint, "__metadata__", ()) if isinstance(m, Meta) and m.description), "")
