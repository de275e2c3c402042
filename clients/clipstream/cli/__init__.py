"""The command `clipstream`: what people type, on the Python client of the package around it."""
