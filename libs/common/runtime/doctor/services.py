"""A service as its doctor sees it, all that is looked at for it, and `python -m services.<name>.doctor`."""

import argparse
import asyncio
import logging
import os
import shutil
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Generic, NoReturn, TypeVar

import structlog

from libs.common.domain import news
from libs.common.runtime.doctor.configuration import examined, misspelt, names_of, production_rules
from libs.common.runtime.doctor.database import database_checks
from libs.common.runtime.doctor.examination import Check, examine
from libs.common.runtime.doctor.findings import Finding, Seen, has_failed
from libs.common.runtime.doctor.machine import machine_checks
from libs.common.runtime.doctor.messages import message_checks
from libs.common.runtime.doctor.objects import object_checks
from libs.common.runtime.doctor.report import as_json, as_text
from libs.common.runtime.doctor.subjects import LETTERS, WORK
from libs.common.runtime.jetstream import open_bus
from libs.common.runtime.object_store import open_object_store
from libs.common.runtime.postgres import open_pool
from libs.common.runtime.settings import CommonSettings

S = TypeVar("S", bound=CommonSettings)
WIDEST = 100
Loaded = tuple["Patient[Any]", CommonSettings]


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient(Generic[S]):
    """`own`: what only this service needs. `says`: the work subjects that it must be able to publish to."""

    name: str
    settings: type[S]
    says: frozenset[str]
    own: Callable[[S], Sequence[Check]] = lambda _: ()
    memory_mb: int = 256
    open_files: int = 1024


async def examined_services(
    patients: Sequence[Patient[Any]], environ: Mapping[str, str], *, lock: str, servers: bool = True
) -> list[Finding]:
    """Of services with one environment. What they share is looked at once; `servers`: whether there are any to be looked at."""
    findings, loaded = _configured(patients, environ)
    if not loaded:
        return [*findings, Finding("everything else", "not looked at", "skipped", "the settings must be right first")]
    async with _checks(loaded, lock, servers=servers) as checks:
        return [*findings, *await examine(checks)]


def _configured(patients: Sequence[Patient[Any]], environ: Mapping[str, str]) -> tuple[list[Finding], list[Loaded]]:
    whose: dict[Seen, list[str]] = {}
    loaded: list[Loaded] = []
    for patient in patients:
        settings, seen = examined(patient.settings, environ)
        loaded += [(patient, settings)] if settings else []
        for one in seen:
            whose.setdefault(one, []).append(patient.name)
    known = names_of(*(patient.settings for patient in patients))
    findings = [_finding(_shown(names, len(patients)), one) for one, names in whose.items()]
    findings += [_finding("misspelt", one) for one in misspelt(known, environ)]
    return [*findings, *([_finding("production", production_rules(loaded[0][1]))] if loaded else [])], loaded


def _shown(names: Sequence[str], count: int) -> str:
    """Whose settings: what several services have in common is told once."""
    return "every service" if len(names) == count > 1 else ", ".join(names)


def _finding(name: str, seen: Seen) -> Finding:
    return Finding("settings", name, seen.state, seen.text, seen.advice)


@asynccontextmanager
async def _checks(loaded: Sequence[Loaded], lock: str, *, servers: bool) -> AsyncIterator[list[Check]]:
    settings = loaded[0][1]
    memory, files = max(patient.memory_mb for patient, _ in loaded), max(patient.open_files for patient, _ in loaded)
    here = machine_checks(settings, lock, memory_mb=memory, open_files=files)
    own = [check for patient, each in loaded for check in patient.own(each)]
    if not servers:
        yield [*here, *own]
        return
    patients = [patient for patient, _ in loaded]
    async with (
        open_pool(settings.database_url.reveal(), connections=1) as pool,
        open_bus(settings.nats_url.reveal(), name="doctor", needs_streams=True, api=settings.nats_api_prefix) as bus,
        open_object_store(settings) as objects,
    ):
        says = frozenset[str]().union(*(patient.says for patient in patients))
        in_production = settings.environment == "production"
        yield [
            *database_checks(pool, [patient.name for patient in patients], in_production=in_production),
            *message_checks(bus, settings, sorted(says | {news.SUBJECT}), sorted((WORK | LETTERS) - says)),
            *object_checks(objects, settings),
            *here,
            *own,
        ]


def main(patient: Patient[Any]) -> NoReturn:
    """Looks at one service in its own environment, as inside its container; the exit code is 1 where something has failed."""
    parser = argparse.ArgumentParser(prog=f"python -m services.{patient.name}.doctor", description="Is this service set up right?")
    run(lambda: examined_services([patient], os.environ, lock=patient.name), parser)


def run(look: Callable[[], Any], parser: argparse.ArgumentParser) -> NoReturn:
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    parser.add_argument("--quiet", action="store_true", help="only warnings and what has failed")
    options = parser.parse_args()
    _silence()
    findings = asyncio.run(look())
    width = min(shutil.get_terminal_size((WIDEST, 0)).columns, WIDEST)
    print(as_json(findings) if options.json else as_text(findings, width=width, quiet=options.quiet), flush=True)  # noqa: T201  a command prints
    sys.exit(has_failed(findings))


def _silence() -> None:
    """stdout is the report's: what the runtime would log of what it meets, the findings say."""
    logging.disable(logging.CRITICAL)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
