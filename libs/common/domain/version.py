"""Which Clipstream this is: pyproject.toml's version, which a test holds it to; where it runs, that file need not be."""

VERSION = "0.1.0"
