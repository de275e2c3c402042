"""Whose delivery is next: tenant by tenant, and of each host by host, so that nobody's slow receivers hold up another's. Pure."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

PLACES = 32
"""Attempts at once of one process."""
PER_TENANT = 8
"""Of them for one tenant."""
PER_HOST = 4
"""Of them to one host, so that a slow one does not hold up its tenant's others."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A delivery that is due."""

    id: UUID
    tenant: str
    host: str


@dataclass(frozen=True, slots=True)
class Full:
    """Who has as many attempts under way as it may have."""

    tenants: list[str]
    hosts: list[str]


@dataclass(frozen=True, slots=True)
class Busy:
    """Attempts under way, by whom they are for."""

    tenants: Counter[str]
    hosts: Counter[str]

    @classmethod
    def of(cls, under_way: Collection[tuple[str, str]]) -> "Busy":
        """Of the tenant and the host of each."""
        return cls(Counter(tenant for tenant, _ in under_way), Counter(host for _, host in under_way))

    @property
    def full(self) -> Full:
        return Full(_at_least(PER_TENANT, self.tenants), _at_least(PER_HOST, self.hosts))


def chosen(waiting: Iterable[Waiting], busy: Busy) -> list[UUID]:
    """Which of them begin now. Of each host the order stays; who has the fewest attempts under way comes first."""
    by_host = _dealt(waiting, lambda one: (one.tenant, one.host), {})
    tenants, hosts, taken = Counter(busy.tenants), Counter(busy.hosts), []
    for one in _dealt(by_host, lambda one: one.tenant, busy.tenants):
        if tenants.total() < PLACES and tenants[one.tenant] < PER_TENANT and hosts[one.host] < PER_HOST:
            tenants[one.tenant] += 1
            hosts[one.host] += 1
            taken.append(one.id)
    return taken


def _dealt(waiting: Iterable[Waiting], whose: Callable[[Waiting], object], had: Mapping[Any, int]) -> list[Waiting]:
    """The first of each, then the second of each ..., counting those that it has had."""
    turns: Counter[object] = Counter(had)
    ranked = []
    for one in waiting:
        turns[whose(one)] += 1
        ranked.append((turns[whose(one)], one))
    return [one for _, one in sorted(ranked, key=lambda pair: pair[0])]


def _at_least(most: int, counted: Counter[str]) -> list[str]:
    return [name for name, count in counted.items() if count >= most]
