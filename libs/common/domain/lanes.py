"""The lanes of a stage and how they take turns: fast before normal before bulk, and bulk never starves."""

from collections import Counter

from libs.common.domain.events import Priority

FAIR = 8
"""Of so many turns one begins with bulk and another with normal, so that neither starves behind fast."""


def lane_order(turn: int) -> tuple[Priority, ...]:
    """The lanes in the order in which the turn-th free place asks them."""
    match turn % FAIR:
        case 3:
            return (Priority.NORMAL, Priority.FAST, Priority.BULK)
        case 7:
            return (Priority.BULK, Priority.FAST, Priority.NORMAL)
        case _:
            return (Priority.FAST, Priority.NORMAL, Priority.BULK)


def lane_shares(turn: int, places: int) -> dict[Priority, int]:
    """How many of so many free places, from the turn-th on, each lane comes first for; whose turn it is first is asked first."""
    return Counter(lane_order(turn + place)[0] for place in range(places))
