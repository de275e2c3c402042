"""A mapping that forgets what was put in first: what hostile clients fill must not grow."""

from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Bounded(dict[K, V]):
    """Holds at most `size` entries. To put one in again makes it the latest."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self._size = size

    def __setitem__(self, key: K, value: V) -> None:
        self.pop(key, None)
        if len(self) >= self._size:
            del self[next(iter(self))]
        super().__setitem__(key, value)
