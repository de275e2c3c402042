"""What botocore knows of AWS, read once in a process: each client of its own reads some megabytes of JSON, a quarter of a second."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from unittest.mock import patch

from botocore.loaders import JSONFileLoader

_read = JSONFileLoader.load_file


@cache
def _kept(path: str) -> object:
    return _read(JSONFileLoader(), path)


@contextmanager
def read_once() -> Iterator[None]:
    with patch.object(JSONFileLoader, "load_file", lambda _, path: _kept(path)):
        yield
