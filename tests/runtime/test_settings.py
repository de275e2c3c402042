"""Settings: every problem at once, and no secret shown."""

from pathlib import Path

import pytest

from libs.common.runtime.settings import CommonSettings, Secret, SettingsError, describe, load
from services.asr.settings import AsrSettings

NEEDED = {"DATABASE_URL": "postgresql://me:hunter2@db/clips", "NATS_URL": "nats://me:hunter2@nats"}


def test_variables_become_settings_of_their_types() -> None:
    given = {"KEEP_FAILED": "yes", "SCRATCH_DIR": "/scratch", "STREAM_REPLICAS": "3", "RETENTION_HOURS": "1.5", "S3_REGION": "no"}
    settings = load(CommonSettings, NEEDED | given)
    assert (settings.keep_failed, settings.scratch_dir, settings.stream_replicas) == (True, Path("/scratch"), 3)
    assert (settings.retention_hours, settings.s3_region) == (1.5, "no")


def test_an_empty_variable_counts_as_unset() -> None:
    assert load(CommonSettings, NEEDED | {"QUEUE_MAX_ATTEMPTS": " "}).queue_max_attempts == 3


def test_every_problem_is_named_at_once() -> None:
    with pytest.raises(SettingsError) as caught:
        load(CommonSettings, {"NATS_URL": "x", "HEALTH_PORT": "many", "WORKER_MAX_CONCURRENCY": "0", "LOG_LEVEL": "LOUD"})
    problems = str(caught.value).splitlines()
    assert [problem.split(":")[0].split(" ")[0] for problem in sorted(problems)] == [
        "DATABASE_URL",
        "HEALTH_PORT",
        "LOG_LEVEL",
        "WORKER_MAX_CONCURRENCY",
    ]


def test_problems_of_settings_together_are_named_too() -> None:
    with pytest.raises(SettingsError, match="GROQ_API_KEY is required"):
        load(AsrSettings, NEEDED | {"ASR_PROVIDER": "groq"})


def test_a_secret_does_not_show_itself() -> None:
    settings = load(CommonSettings, NEEDED)
    shown = [repr(settings), str(settings.database_url), f"{settings.database_url}", f"{settings.nats_url!r}"]
    assert not any("hunter2" in text for text in shown)
    assert settings.database_url.reveal() == NEEDED["DATABASE_URL"]
    assert isinstance(settings.database_url, Secret)


def test_every_setting_says_what_it_means() -> None:
    assert [name for name, _, meaning in describe(AsrSettings) if not meaning] == []
