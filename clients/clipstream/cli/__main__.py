"""`python -m clipstream.cli`, the same as `clipstream`."""

import sys

from clipstream.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
