"""A sound that is refused while others are served, by a clock of the test's own; and what no outage of the provider may be taken for."""

from hypothesis import given
from hypothesis import strategies as st

from services.asr.suspicion import APART, LONGEST, MOST, STALE, TIMES, Suspicion


def refusals(suspicion: Suspicion, *, until: float, every: float = APART, served: bool = False, sound: str = "poison") -> list[float]:
    """When the sound, refused at 0 and `every` so many seconds from then on, was found to blame; others are served between, or not."""
    blamed, now = [], 0.0
    while now <= until:
        if suspicion.refused(sound, now):
            blamed.append(now)
        if served:
            suspicion.served("other", now + every / 2)
        now += every
    return blamed


def test_a_sound_that_alone_is_refused_is_to_blame_after_five_more_refusals():
    assert refusals(Suspicion(), until=APART * TIMES, served=True) == [APART * TIMES]


def test_refusals_in_a_hurry_count_once_in_three_seconds():
    assert refusals(Suspicion(), until=APART * TIMES, every=0.5, served=True)[0] >= APART * TIMES


def test_a_provider_that_serves_nobody_is_away_for_half_an_hour_whatever_else_it_answers():
    assert refusals(Suspicion(), until=LONGEST - 1) == []
    assert refusals(Suspicion(), until=LONGEST)[0] == LONGEST


def test_the_half_hour_begins_again_when_the_provider_answered_nothing():
    suspicion = Suspicion()
    refusals(suspicion, until=LONGEST - 10)
    suspicion.forget()
    assert not suspicion.refused("poison", LONGEST)
    assert not suspicion.refused("poison", LONGEST + 10)


def test_a_sound_that_is_served_after_all_was_never_to_blame():
    suspicion = Suspicion()
    refusals(suspicion, until=APART * (TIMES - 1), served=True)
    suspicion.served("poison", APART * TIMES)
    assert refusals(suspicion, until=APART * (TIMES - 1), served=True) == []


def test_what_was_asked_before_the_provider_went_away_bears_no_witness():
    """Its end was under way; all that comes after is refused."""
    suspicion = Suspicion()
    for n in range(2 * TIMES):
        assert not suspicion.refused("poison", n * APART)
        suspicion.served(f"other {n}", asked=-1.0)


def test_while_two_sounds_are_refused_neither_is_to_blame_though_others_are_served():
    suspicion = Suspicion()
    for n in range(2 * TIMES):
        assert not suspicion.refused("one", n * APART)
        assert not suspicion.refused("two", n * APART)
        suspicion.served("other", asked=n * APART + 1)


def test_a_refused_sound_of_which_nothing_more_is_heard_protects_no_other():
    suspicion = Suspicion()
    suspicion.refused("cancelled", -APART)
    assert refusals(suspicion, until=STALE + APART * (TIMES + 1), served=True)


def test_a_sound_that_comes_again_long_after_is_new():
    suspicion = Suspicion()
    suspicion.refused("poison", 0)
    assert not suspicion.refused("poison", LONGEST + 1)


def test_no_number_of_sounds_makes_it_remember_more_than_some():
    suspicion = Suspicion()
    for n in range(MOST + 10):
        suspicion.refused(n, 0)
    assert len(suspicion.rows) == MOST


@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 120)), max_size=60))
def test_where_nothing_is_served_nobody_is_to_blame_for_half_an_hour(tries: list[tuple[str, float]]):
    suspicion, now = Suspicion(), 0.0
    for sound, pause in tries:
        now += pause
        assert not (suspicion.refused(sound, now) and now < LONGEST)


def test_an_outage_that_comes_and_goes_blames_nobody():
    """Two of three requests are refused, of each sound in its turn."""
    suspicion = Suspicion()
    for n in range(120):
        for sound in range(4):
            if (n + sound) % 3:
                assert not suspicion.refused(sound, n * APART)
            else:
                suspicion.served(sound, n * APART)
