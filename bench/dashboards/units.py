"""Values as Grafana writes them, by its names of units. Pure."""

from collections.abc import Sequence

Step = tuple[float, str]
SHORT: Sequence[Step] = ((1e9, "G"), (1e6, "M"), (1e3, "K"))
BYTES: Sequence[Step] = ((2**30, " GiB"), (2**20, " MiB"), (2**10, " KiB"))
TIMES: Sequence[Step] = ((86400, " d"), (3600, " h"), (60, " min"), (1, " s"), (1e-3, " ms"), (1e-6, " µs"))


def shown(value: float, unit: str) -> str:
    match unit:
        case "s":
            return "0 s" if value == 0 else _scaled(value, TIMES, " µs")
        case "bytes":
            return _scaled(value, BYTES, " B")
        case "Bps":
            return f"{_scaled(value, BYTES, ' B')}/s"
        case "percentunit":
            return f"{_trimmed(value * 100)} %"
        case "cpm":
            return f"{_scaled(value, SHORT, '')}/min"
        case "reqps":
            return f"{_scaled(value, SHORT, '')}/s"
        case _:
            return _scaled(value, SHORT, "")


def _scaled(value: float, steps: Sequence[Step], least: str) -> str:
    for size, name in steps:
        if abs(value) >= size:
            return f"{_trimmed(value / size)}{name}"
    return f"{_trimmed(value)}{least}"


def _trimmed(value: float) -> str:
    """Three figures, no useless zeros."""
    text = f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
