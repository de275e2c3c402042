"""One cleaning for all that is written or drawn: text that no subtitle format and no player takes for markup. Pure."""

import re
import unicodedata

_TAG = re.compile(r"<(?=\s*/?\s*(?:[^\W\d_]|$))")
"""A bracket that opens a tag, or would with the next word."""
_JOINERS = "\u200c\u200d"
"""Zero-width (non-)joiners: format characters that Persian, Indic scripts and emoji are misspelt without."""
_VISIBLE_FORMATS = "\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd"
"""Number signs of Arabic, Syriac and Kaithi: format characters that are drawn."""
_KEPT = frozenset(_JOINERS + _VISIBLE_FORMATS)
_REMOVED = frozenset({"Cc", "Cf", "Cs"})
_SARA_AM = re.compile("([\u0e48-\u0e4b\u0ec8-\u0ecb]+)([\u0e4d\u0ecd])(?=[\u0e32\u0eb2])")
"""What NFKC makes of a Thai or Lao "am" after a tone mark; the ring has to stand before the mark to be drawn in its place."""


def clean(text: str) -> str:
    """NFKC, without control characters, white space folded, and nothing that a subtitle file or its player would take for markup."""
    kept = "".join(char for char in text if char.isspace() or char in _KEPT or unicodedata.category(char) not in _REMOVED)
    folded = " ".join(unicodedata.normalize("NFKC", kept).split())
    unmarked = folded.replace("-->", "→").translate({ord("{"): "(", ord("}"): ")", ord("\\"): "/"})
    return _TAG.sub("\u2039", _SARA_AM.sub(r"\2\1", unmarked))
