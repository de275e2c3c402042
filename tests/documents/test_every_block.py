"""No command without its test, no link to nowhere, no route without its section."""

import json
import re
import tomllib
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest
import yaml
from litestar.routes import HTTPRoute

from libs.common.runtime.settings import load
from services.api.app import routed
from services.api.settings import ApiSettings
from tests.documents.blocks import ROOT, Block, blocks_of, documents, prose

TESTED = {
    "README.md": "tests/documents/test_pages.py",
    "docs/access.md": "tests/tools/test_first_key.py",
    "docs/api-calls.md": "tests/documents/test_pages.py",
    "docs/api.md": "tests/e2e/test_api_document.py",
    "docs/client.md": "tests/clients/client/test_document.py",
    "docs/command-line.md": "tests/clients/cli/test_page.py",
    "docs/events.md": "tests/documents/test_pages.py",
    "docs/kubernetes.md": "tests/deploy/test_kubernetes_page.py",
    "docs/logs.md": "tests/runtime/test_logs_page.py",
    "docs/quick-start.md": "tests/documents/test_pages.py",
    "docs/recipes.md": "tests/documents/test_pages.py",
    "docs/runbook.md": "tests/janitor/test_runbook.py",
    "docs/security.md": "tests/deploy/test_security_page.py",
    "docs/subtitles.md": "tests/documents/test_pages.py",
    "docs/uploads.md": "tests/api/test_uploads_document.py",
    "docs/webhooks.md": "tests/api/test_webhook_docs.py",
}
"""Where the blocks of a document are run: that file takes all of them, or all of a language."""
UNTESTED = {
    ("docs/client.md", "$ pip install"): "done by test_the_package_installs_and_runs_the_example, into an environment of its own",
    ("docs/containers.md", "sh deploy/compose/new-env.sh"): "needs a container engine; tests/deploy holds the files that it reads",
    ("docs/containers.md", "docker build"): "the same",
    ("docs/containers.md", "docker compose"): "the same",
    ("docs/events.md", "const stream"): "JavaScript of a page: the web tool's own is tested in a browser",
    ("docs/uploads.md", "await fetch"): "the same",
    ("docs/job-states.md", "stage.started"): "a drawing",
    ("docs/performance.md", "make bench-cutting"): "takes 40 minutes and 20 GB; its targets are checked to be there",
    ("docs/performance.md", "make bench-sources"): "takes six minutes; its targets are checked to be there",
    ("docs/runbook.md", "Clipstream refuses"): "what a service prints in production",
    ("docs/sources.md", "make lock"): "writes new lock files; its targets are checked to be there",
    ("docs/tracing.md", "api POST"): "a trace, as tests/e2e/test_traces.py sees it",
}
"""By the document and how the block begins: those that nothing runs, and why."""
RECIPES = ROOT / "deploy" / "recipes"
DATA = {"json": json.loads, "toml": tomllib.loads, "yaml": yaml.safe_load}
ROUTE = re.compile(r"^### (GET|POST|PUT|DELETE) (/\S*)$", re.MULTILINE)
LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)")

ALL = [block for document in documents() for block in blocks_of(document)]


def excuse(block: Block) -> tuple[str, str] | None:
    begins = block.text.lstrip()
    return next((one for one in UNTESTED if one[0] == block.document and begins.startswith(one[1])), None)


@pytest.mark.parametrize("block", ALL, ids=str)
def test_every_block_is_run_by_a_test_or_says_why_not(block: Block) -> None:
    if block.language in DATA:
        assert DATA[block.language](block.text)
    elif excuse(block) is None:
        test = (ROOT / TESTED[block.document]).read_text()
        by_fence = block.document.rpartition("/")[2] in test and f"```{block.language}" in test
        assert by_fence or re.search(rf'blocks_of\("{block.document}"(, "{block.language}")?\)', test)


@pytest.mark.parametrize("document", documents())
def test_no_command_wants_a_program_or_an_option_that_a_readers_machine_may_lack(document: str) -> None:
    """The runbook and the page on logs are for operators, and say that they want jq."""
    wanted = r"\bstat -c|%header|--variable|\bsed -i" + ("" if document in {"docs/runbook.md", "docs/logs.md"} else r"|\bjq\b")
    assert not [block for block in blocks_of(document) if re.search(wanted, block.text)]
    assert not re.search(wanted, (RECIPES / "nightly-clip.sh").read_text())


def test_every_excuse_is_of_a_block_that_is_there() -> None:
    assert {excuse(block) for block in ALL} - {None} == UNTESTED.keys()


@pytest.mark.parametrize("document", documents())
def test_every_link_leads_somewhere(document: str) -> None:
    for file, heading in LINK.findall(prose(document)):
        target = (ROOT / document).parent / file if file else ROOT / document
        assert target.exists(), file
        assert not heading or heading in anchors(str(target.resolve().relative_to(ROOT))), (file, heading)


def anchors(document: str) -> set[str]:
    """As GitHub makes them of headings."""
    headings = re.findall(r"^##* (.*)$", prose(document), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_route_has_its_section_and_every_section_its_route() -> None:
    sections = ROUTE.findall(prose("docs/api-calls.md"))
    assert len(sections) == len(set(sections))
    assert set(sections) == set(calls())


def test_every_section_of_a_route_has_its_call_and_names_the_path_in_it() -> None:
    blocks = blocks_of("docs/api-calls.md", "bash")
    for _, path in ROUTE.findall(prose("docs/api-calls.md")):
        pattern = re.sub(r"\\{\w+\\}", r"(?:\\$\\w+|\\$\\(.*\\))", re.escape(path))
        called = re.compile(rf'\$URL{pattern}(?=["?\s]|$)')
        assert any(called.search(block.text) for block in blocks if block.heading.endswith(f" {path}")), path


def calls() -> Iterator[tuple[str, str]]:
    """Methods and paths of all that the API serves, but HEAD and OPTIONS, and the files that its pages are made of."""
    needed = {"NATS_URL": "nats://n", "DATABASE_URL": "postgres://d", "S3_ACCESS_KEY": "k", "S3_SECRET_KEY": "s"}
    on = {"ADMIN_ENABLED": "true", "API_SECRET": "s" * 32}
    settings = load(ApiSettings, {**needed, **on})
    api = SimpleNamespace(settings=settings, door=SimpleNamespace(admitted=lambda *_: None))  # all that making routes looks at
    for route in routed(cast("Any", api)).routes:
        assert isinstance(route, HTTPRoute)
        if not route.path_format.startswith("/web/"):
            yield from ((method, route.path_format) for method in route.methods & {"GET", "POST", "PUT", "PATCH", "DELETE"})
