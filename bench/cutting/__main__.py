"""Every figure of cutting in one run: `make bench-cutting`, or `python -m bench.cutting [--quick] [--only NAME …]`."""

from bench.cutting import copying, encoding, exactness, playing, reading, remote, verifying, whole_system
from bench.cutting.session import main

if __name__ == "__main__":
    main(
        copying.measure,
        encoding.measure,
        exactness.measure,
        playing.measure,
        reading.measure,
        remote.measure,
        whole_system.measure,
        verifying.measure,
    )
