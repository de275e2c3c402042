"""How a service's process begins: everything is imported first, with no rounds of the garbage collector meanwhile."""

import gc
from importlib import import_module


def start(module: str) -> None:
    """Import the module and call its `main()`.

    The rounds would be a quarter of the time, and find nothing: what imports make stays. So it is left out of all later ones too.
    """
    gc.disable()
    main = import_module(module).main
    gc.freeze()
    gc.enable()
    main()
