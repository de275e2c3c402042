"""`python -m tools.url_literals`: write services/resolver/fetch/url_literals.json anew, for the yt-dlp that is installed.

yt-dlp finds the extractor of a URL by trying its 1,750 regular expressions one after the other, and compiling them took half of a
short visit's CPU. What each of them can't match without, a few letters of a host or path, is found here once, by parsing the expression.
"""

import ast
import inspect
import re
from collections.abc import Iterable
from textwrap import dedent
from typing import Any

import msgspec
from yt_dlp.extractor import list_extractor_classes
from yt_dlp.extractor.lazy_extractors import LazyLoadExtractor
from yt_dlp.version import __version__

from services.resolver.fetch.extractor_choice import TABLE, Table

LEAST = 3
"""Letters; fewer are in too many URLs to be worth a look."""
EVERYWHERE = re.compile(r"https?|://|www\.|\.com?\b|/")


def main() -> None:
    TABLE.write_bytes(msgspec.json.format(msgspec.json.encode(table()), indent=0) + b"\n")


def table() -> Table:
    """Of each extractor whose URLs are told by its expressions alone."""
    known = {each.ie_key(): literals for each in list_extractor_classes() if _is_narrowing(each) and (literals := _of_class(each))}
    return Table(yt_dlp=__version__, literals=known)


def needed(pattern: str) -> tuple[str, ...]:
    """Of each ASCII string that the pattern matches, in lower case, at least one of these is a part; none when it can't be told."""
    return _needed(re._parser.parse(pattern))  # type: ignore[attr-defined]  # noqa: SLF001  the standard library's only parser of its patterns


def _is_narrowing(extractor: Any) -> bool:
    """What it takes matches its expressions: where it judges by more than those, it only takes less."""
    own = [
        kind.__dict__["suitable"].__func__ for kind in extractor.__mro__ if "suitable" in kind.__dict__ and kind is not LazyLoadExtractor
    ]
    is_matched = extractor._match_valid_url.__func__ is LazyLoadExtractor._match_valid_url.__func__  # noqa: SLF001  yt-dlp's own name
    return is_matched and all(map(_takes_less, own))


def _takes_less(suitable: Any) -> bool:
    returned = [node.value for node in ast.walk(ast.parse(dedent(inspect.getsource(suitable)))) if isinstance(node, ast.Return)]
    return all(map(_is_less, returned))


def _is_less(value: ast.expr | None) -> bool:
    """False, or what the class above takes, or less than that."""
    match value:
        case ast.Constant(value=False) | ast.Call(func=ast.Attribute(value=ast.Call(func=ast.Name(id="super")), attr="suitable")):
            return True
        case ast.IfExp():
            return _is_less(value.body) and _is_less(value.orelse)
        case ast.BoolOp(op=ast.And()):
            return any(map(_is_less, value.values))
    return False


def _of_class(extractor: Any) -> tuple[str, ...]:
    patterns = extractor._VALID_URL  # noqa: SLF001  yt-dlp's own name for it
    if not patterns:
        return ()
    found = [needed(each) for each in ([patterns] if isinstance(patterns, str) else patterns)]
    return tuple(sorted({literal for each in found for literal in each})) if all(found) else ()


def _needed(parsed: Iterable[tuple[Any, Any]]) -> tuple[str, ...]:
    """The best of what each part of a sequence needs, or of the literals between them."""
    choices: list[tuple[str, ...]] = []
    run = ""
    for operation, argument in [*parsed, (None, None)]:
        if str(operation) == "LITERAL":
            run += chr(argument)
            continue
        choices.append((run,))
        run = ""
        match str(operation):
            case "SUBPATTERN":
                choices.append(_needed(argument[-1]))
            case "MAX_REPEAT" | "MIN_REPEAT" if argument[0]:
                choices.append(_needed(argument[-1]))
            case "BRANCH":
                branches = [_needed(each) for each in argument[1]]
                choices.append(tuple(literal for branch in branches for literal in branch) if all(branches) else ())
    best = max((tuple(map(str.lower, choice)) for choice in choices if all(map(str.isascii, choice))), key=_worth, default=())
    return best if _worth(best) >= LEAST else ()


def _worth(literals: tuple[str, ...]) -> int:
    """The letters of the least telling of them, beyond those of every URL."""
    return min((len(EVERYWHERE.sub("", literal)) for literal in literals), default=0)


if __name__ == "__main__":
    main()
