"""Which subjects of the work streams each service must be able to say. Pure; tests/deploy holds users.conf to the same tables."""

from libs.common.domain.events import SUBJECTS, Priority, StageName
from libs.common.domain.subjects import subject_for


def _lanes(*stages: StageName) -> frozenset[str]:
    return frozenset(subject_for(SUBJECTS[stage], priority) for stage in stages for priority in Priority)


def _letters(*stages: StageName) -> frozenset[str]:
    return frozenset(f"dlq.{subject}" for subject in _lanes(*stages))


WORK = _lanes(*StageName)
LETTERS = _letters(*StageName)


def said_by(*stages: StageName, makes: StageName) -> frozenset[str]:
    """By a service of these stages: the work of the stage that it makes work for, and the letters of its own."""
    return _lanes(makes) | _letters(*stages)
