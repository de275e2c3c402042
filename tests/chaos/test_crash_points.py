"""A fixed slice of the crash matrix (`make chaos` has all of it): one process dies between two steps, and every job ends as it has to."""

from collections.abc import AsyncIterator

import pytest

from tests.chaos.checker import judged
from tests.chaos.evidence import gathered
from tests.chaos.matrix import Point, crashed, points
from tests.chaos.system import REPLICAS, System, running
from tests.thorough import IS_THOROUGH
from tools.setup import ROOT

pytestmark = pytest.mark.timeout(120)
FIRST = (
    "resolver.published",  # the next stage has the message, and this one has it still
    "clipper.recorded",  # the answer stands, and nobody was told
    "api.stored",  # the job stands, and neither the client nor NATS was told
)
MORE = (
    "clipper.taken",  # nobody knows that anybody began
    "clipper.buried",  # the letter lies there before the failure is written
    "asr.rerun",  # the new run stands, and nobody works on it
    "objects.put",  # the object is there, and no event names it
    "janitor.replay_recorded",  # the new run stands, and the letter is where it was
)
POINTS = FIRST + MORE
NUMBERS = REPLICAS if IS_THOROUGH else REPLICAS | {"asr": 1, "janitor": 1}


@pytest.fixture(scope="module")
async def system(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[System]:
    async with running(tmp_path_factory.mktemp("chaos"), ROOT, NUMBERS) as system:
        yield system


@pytest.mark.parametrize("place", [*FIRST, *(pytest.param(place, marks=pytest.mark.thorough) for place in MORE)])
async def test_a_process_that_dies_between_two_steps_costs_nothing(system: System, place: str) -> None:
    who, _, step = place.partition(".")
    case = await crashed(system, Point(who, step), jobs=4)
    assert case.broken == []
    await system.until_over()  # also those that the API wrote down before it died, and never answered for
    assert judged(await gathered(system, looked_at=4)).problems == (), f"the logs are in {system.home}"


def test_the_fixed_slice_is_part_of_the_whole_matrix() -> None:
    assert set(POINTS) <= {point.place for point in points()}
