"""Memory that is lent and used again: never two borrowers of one buffer, never more than there are."""

import subprocess
from contextlib import ExitStack
from pathlib import Path

from services.clipper.buffers import BUFFER_BYTES, BUFFERS, MemoryFile, Pool, linked, windows


def test_a_buffer_is_lent_to_one_at_a_time_and_when_all_are_out_there_is_none():
    pool = windows()
    with ExitStack() as stack:
        lent = [stack.enter_context(pool.lent(10)) for _ in range(BUFFERS)]
        assert len({id(buffer) for buffer in lent if buffer is not None}) == BUFFERS
        assert stack.enter_context(pool.lent(10)) is None
    with pool.lent(10) as again:
        assert any(again is buffer for buffer in lent)


def test_what_is_larger_than_a_buffer_goes_elsewhere():
    with windows().lent(BUFFER_BYTES + 1) as buffer:
        assert buffer is None


def test_a_file_in_memory_is_read_by_its_name_from_another_process_until_it_is_given_back(tmp_path: Path):
    files, name = Pool(MemoryFile), tmp_path / "clip.mp4"
    with linked(files, name, 5):
        name.write_bytes(b"hello")
        assert subprocess.run(["cat", str(name)], capture_output=True, check=True, timeout=10).stdout == b"hello"
        assert name.stat().st_size == 5
    assert not name.exists()
    assert not name.is_symlink()


def test_where_there_is_no_room_in_memory_the_name_is_left_free(tmp_path: Path):
    name = tmp_path / "clip.mp4"
    with linked(Pool(MemoryFile), name, BUFFER_BYTES + 1):
        assert not name.is_symlink()
        name.write_bytes(b"on disk")
    assert name.read_bytes() == b"on disk"
