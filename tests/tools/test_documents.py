"""The documents are true: the files they name exist, and the generated page is the code's."""

import re

import pytest

from tests.documents.blocks import ROOT, blocks_of, documents, prose
from tools import configuration


@pytest.mark.parametrize("document", documents())
def test_every_file_that_a_document_names_is_there(document: str) -> None:
    text = (ROOT / document).read_text().replace("\\_", "_")
    named = set(re.findall(r"(?<![\w./-])(?:libs|services|tools|tests|docs|deploy|bench)/[\w./-]*\w", text))
    assert [name for name in named if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("document", documents())
def test_every_make_target_that_a_document_names_is_there(document: str) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    code = [*re.findall(r"`([^`]+)`", prose(document)), *(block.text for block in blocks_of(document))]
    assert set(re.findall(r"\bmake ([a-z-]+)", "\n".join(code))) <= targets


def test_the_configuration_page_is_the_code_s() -> None:
    assert configuration.PAGE.read_text() == configuration.page()
