"""Clients' text as it is kept: no control characters, nothing that a subtitle file or a database would stumble over. Pure."""

import unicodedata

_JOINERS = "\u200c\u200d"
"""Zero-width (non-)joiners: format characters that Persian, Indic scripts and emoji are misspelt without."""
_LEFT_OUT = frozenset({"Cc", "Cf", "Cs"})


def plain(text: str) -> str:
    """One line: NFKC, without control and format characters, white space folded (spec section 8)."""
    kept = "".join(char for char in text if char.isspace() or char in _JOINERS or unicodedata.category(char) not in _LEFT_OUT)
    return " ".join(unicodedata.normalize("NFKC", kept).split())
