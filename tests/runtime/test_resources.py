"""Resources: what is read of this machine and of made-up ones, and when a word is said about it."""

import asyncio
import os
import time
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from libs.common.runtime.background import running
from libs.common.runtime.memory_use import MemoryUse, memory_use
from libs.common.runtime.resources import Resource, files_ratio, watch_resources
from libs.common.runtime.water_marks import Level, level_after

MIB = 2**20
FINE, HIGH, URGENT = Level
ratios = st.floats(0, 1.5)


@pytest.mark.parametrize(
    ("before", "ratio", "after"),
    [
        *[(FINE, 0.79, FINE), (FINE, 0.8, HIGH), (FINE, 0.95, URGENT)],
        *[(HIGH, 0.76, HIGH), (HIGH, 0.74, FINE), (HIGH, 0.94, HIGH), (HIGH, 0.96, URGENT)],
        *[(URGENT, 0.91, URGENT), (URGENT, 0.89, HIGH), (URGENT, 0.5, FINE)],
    ],
)
def test_a_level_ends_lower_than_it_begins(before: Level, ratio: float, after: Level) -> None:
    assert level_after(before, ratio) is after


@given(st.sampled_from(Level), ratios)
def test_the_same_use_again_changes_nothing(before: Level, ratio: float) -> None:
    assert level_after(level_after(before, ratio), ratio) is level_after(before, ratio)


@given(st.lists(st.floats(0.751, 0.949), min_size=1))
def test_use_that_swings_about_a_mark_is_told_once(swings: list[float]) -> None:
    levels = [FINE]
    for ratio in swings:
        levels.append(level_after(levels[-1], ratio))
    assert sum(after > before for before, after in pairwise(levels)) <= 1


def test_each_crossing_is_one_line_that_says_what_to_do() -> None:
    resource = Resource("test", "buy more")
    with capture_logs() as said:
        for ratio in (0.5, 0.82, 0.79, 0.85, 0.97, 0.93, 0.96, 0.2):
            resource.note(ratio)
    assert [(line["log_level"], line.get("advice")) for line in said] == [("warning", "buy more"), ("error", "buy more"), ("info", None)]
    assert REGISTRY.get_sample_value("clip_resource_used_ratio", {"resource": "test"}) == 0.2


def machine(folder: Path, groups: dict[str, str], cgroup: str = "0::/pod/box\n") -> tuple[Path, Path]:
    """/proc and /sys/fs/cgroup: of a machine with 1 GiB, a process with 10 MiB of its own and a child with 20."""
    files = {
        "proc/meminfo": f"MemTotal: {1024 * 1024} kB\n",
        "proc/self/cgroup": cgroup,
        "proc/self/status": "Name: x\nRssAnon: 10240 kB\nRssFile: 999 kB\n",
        "proc/self/task/1/children": "77 78",
        "proc/77/status": f"RssAnon: {20 * 1024} kB\nRssShmem: 0 kB\n",
        "proc/77/task/77/children": "",
        **{f"groups/{name}": text for name, text in groups.items()},
    }
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder / "proc", folder / "groups"


def v2(limit: str, used: int, reclaimable: int = 0) -> dict[str, str]:
    return {"memory.max": limit, "memory.current": str(used), "memory.stat": f"anon 1\ninactive_file {reclaimable}\n"}


def within(folder: str, files: dict[str, str]) -> dict[str, str]:
    return {f"{folder}{name}": text for name, text in files.items()}


def test_without_a_limit_it_is_what_the_process_and_its_children_have_of_the_machine(tmp_path: Path) -> None:
    assert memory_use(*machine(tmp_path, within("pod/box/", v2("max\n", 5)))) == MemoryUse(30 * MIB, 1024 * MIB)


def test_a_child_may_call_itself_whatever_it_likes(tmp_path: Path) -> None:
    proc, groups = machine(tmp_path, {})
    (proc / "77/status").write_bytes(b"Name: \xff\xfe\nRssAnon: 20480 kB\n")
    assert memory_use(proc, groups).used == 30 * MIB


def test_a_limit_of_the_group_counts_less_what_the_kernel_gives_back(tmp_path: Path) -> None:
    groups = within("pod/box/", v2(str(200 * MIB), 150 * MIB, 50 * MIB))
    assert memory_use(*machine(tmp_path, groups)) == MemoryUse(100 * MIB, 200 * MIB)


def test_of_groups_within_groups_the_one_nearest_to_its_limit_counts(tmp_path: Path) -> None:
    groups = within("pod/box/", v2(str(200 * MIB), 20 * MIB)) | within("pod/", v2(str(300 * MIB), 290 * MIB))
    assert memory_use(*machine(tmp_path, groups)) == MemoryUse(290 * MIB, 300 * MIB)


def test_within_a_container_its_own_group_is_the_root(tmp_path: Path) -> None:
    assert memory_use(*machine(tmp_path, v2(str(100 * MIB), 50 * MIB))) == MemoryUse(50 * MIB, 100 * MIB)


@pytest.mark.parametrize(("limit", "expected"), [(400 * MIB, (300 * MIB, 400 * MIB)), (9223372036854771712, (30 * MIB, 1024 * MIB))])
def test_the_first_version_of_groups_says_a_number_beyond_all_machines_for_no_limit(
    tmp_path: Path, limit: int, expected: tuple[int, int]
) -> None:
    files = {
        "memory.limit_in_bytes": str(limit),
        "memory.usage_in_bytes": str(310 * MIB),
        "memory.stat": f"total_inactive_file {10 * MIB}\n",
    }
    groups = within("memory/box/", files)
    assert memory_use(*machine(tmp_path, groups, "9:name=systemd:/\n4:cpu,memory:/box\n0::/\n")) == MemoryUse(*expected)


def test_where_there_is_no_proc_nothing_is_known(tmp_path: Path) -> None:
    assert memory_use(tmp_path, tmp_path).ratio == 0
    assert files_ratio(tmp_path) == 0


def test_of_this_process_memory_and_files_are_read_as_they_are(tmp_path: Path) -> None:
    memory, files = memory_use(), files_ratio()
    assert 10 * MIB < memory.used < memory.limit
    opened = [os.open(tmp_path, os.O_RDONLY) for _ in range(50)]
    more = files_ratio()
    for descriptor in opened:
        os.close(descriptor)
    assert 0 < files < more < 1


async def test_a_loop_that_is_held_up_is_seen_to_be_late() -> None:
    def late() -> float:
        everything = REGISTRY.get_sample_value("clip_event_loop_lag_seconds_count")
        return everything - REGISTRY.get_sample_value("clip_event_loop_lag_seconds_bucket", {"le": "0.25"})

    before = late()
    async with running(watch_resources()), asyncio.timeout(40):
        while late() == before:
            time.sleep(0.6)  # noqa: ASYNC251  it is to hold up the loop
            await asyncio.sleep(0.01)
    assert REGISTRY.get_sample_value("clip_resource_used_ratio", {"resource": "memory"}) > 0
    assert REGISTRY.get_sample_value("clip_resource_used_ratio", {"resource": "files"}) > 0
