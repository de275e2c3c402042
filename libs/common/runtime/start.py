"""How a service's process begins: everything is imported first, with no rounds of the garbage collector meanwhile."""

import gc
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib import import_module

UNUSED = {"rich": "structlog's tracebacks for a terminal", "httpx": "aiobotocore's other way to S3, with a command line of its own"}
"""Packages that those who import them can do without, as we do: together an eighth of all modules, and 5 MB of a service."""


def start(module: str) -> None:
    """Import the module and call its `main()`.

    The rounds would be a quarter of the time, and find nothing: what imports make stays. So it is left out of all later ones too.
    """
    gc.disable()
    with without(UNUSED):
        main = import_module(module).main
    gc.freeze()
    gc.enable()
    main()


@contextmanager
def without(packages: Iterable[str]) -> Iterator[None]:
    """Inside, these packages seem not to be installed; a later import finds them. One that is imported already stays."""
    hidden = [name for name in packages if name not in sys.modules]
    for name in hidden:
        sys.modules[name] = None  # type: ignore[assignment]  # the language's way to say that there is none
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]
