"""`python -m services.janitor`: main.py says what it is."""

from libs.common.runtime.start import start

if __name__ == "__main__":
    start("services.janitor.main")
