"""A disk that is full: the operator's trouble, worth another try, and no fault of the source."""

from pathlib import Path

import pytest

from libs.common.domain.failures import Code, Failure
from tests.resolver.fetch.cutting import open_at, section_of
from tests.resolver.fetch.serving import Site
from tests.sites.packagings import packaged

FULL = "/dev/full"


@pytest.mark.parametrize(("kind", "name"), [("faststart", "section.mp4"), ("mkv", "section.mkv"), ("hls-ts", "section.mp4")])
def test_no_room_for_a_section_is_worth_another_try(kind: str, name: str, short: Path, site: Site, tmp_path: Path) -> None:
    (tmp_path / name).symlink_to(FULL)
    with pytest.raises(Failure) as refused:
        section_of(site, packaged(short, kind), tmp_path)
    assert refused.value.code is Code.RETRYABLE_ERROR


def test_no_room_for_a_whole_file_is_worth_another_try(short: Path, site: Site, tmp_path: Path) -> None:
    (tmp_path / "whole0.mp4").symlink_to(FULL)
    with open_at(site, packaged(short, "faststart")) as film, pytest.raises(Failure) as refused:
        film.whole(tmp_path, 1 << 30, lambda _: None)
    assert refused.value.code is Code.RETRYABLE_ERROR
