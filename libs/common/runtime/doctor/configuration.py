"""The settings, every problem at once, and variables that look like ours with a letter wrong. Values are not shown."""

from collections.abc import Collection, Mapping
from difflib import get_close_matches
from typing import TypeVar

from libs.common.runtime.doctor.findings import Seen, failed, ok, warning
from libs.common.runtime.settings import CommonSettings, SettingsError, describe, load

S = TypeVar("S", bound=CommonSettings)
ALIKE = 0.9
"""A letter more or less in a name of nine; two that are swapped, in one of ten."""
SHORTEST = 7
"""Letters: shorter names are like others by chance (PORTS, HOSTS)."""
CORRECT = "Correct the variable; docs/configuration.md says what it takes."


def names_of(*classes: type[CommonSettings]) -> set[str]:
    return {name for cls in classes for name, _, _ in describe(cls)}


def examined(cls: type[S], environ: Mapping[str, str]) -> tuple[S | None, list[Seen]]:
    """The settings, None if they can't be; and what is to be said of them."""
    try:
        settings = load(cls, environ)
    except SettingsError as error:
        return None, [failed(problem, CORRECT) for problem in str(error).splitlines()]
    return settings, [ok("every variable is as it must be")]


def misspelt(known: Collection[str], environ: Mapping[str, str]) -> list[Seen]:
    """Variables that are none of ours, but all but the name of one."""
    strangers = sorted(name for name in environ if len(name) >= SHORTEST and name not in known)
    found = {name: match for name in strangers if (match := get_close_matches(name, known, n=1, cutoff=ALIKE))}
    seen = [warning(f"{name} is no variable of ours, so it does nothing", f"Did you mean {match[0]}?") for name, match in found.items()]
    return seen or [ok("none that looks like one of ours")]


def production_rules(settings: CommonSettings) -> Seen:
    """What `production` refuses by itself is among the settings' problems and the streams'; here is what it can't know."""
    if settings.environment == "local":
        return ok("ENVIRONMENT=local: servers may be as they are")
    if any(kept := [name for name in ("keep_failed", "keep_scratch_on_success") if getattr(settings, name)]):
        return warning(
            f"{kept[0].upper()} is on: scratch folders stay for ever", "Switch it off when you have seen what you wanted to see."
        )
    return ok("ENVIRONMENT=production")
