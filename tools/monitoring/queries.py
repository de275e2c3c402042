"""The queries that panels have in common. Every name of a metric in them is one that a service exposes; a test holds them to that. Pure."""

from tools.monitoring.grafana import Query

RATE = "[$__rate_interval]"


def legend(by: str, fallback: str) -> str:
    """Labels `stage, lane` as `{{stage}} {{lane}}`."""
    return " ".join(f"{{{{{label}}}}}" for label in by.split(", ") if label) or fallback


def _by(by: str) -> str:
    return f" by ({by}) " if by else ""


def most(metric: str, by: str = "", name: str = "") -> Query:
    """Of a gauge that several processes measure alike, or of which the worst counts."""
    return Query(f"max{_by(by)}({selected(metric)})", name or legend(by, metric))


def total(metric: str, by: str = "", name: str = "") -> Query:
    return Query(f"sum{_by(by)}({selected(metric)})", name or legend(by, metric))


def a_second(counter: str, by: str = "", name: str = "", *, times: int = 1) -> Query:
    factor = f" * {times}" if times > 1 else ""
    return Query(f"sum{_by(by)}(rate({selected(counter)}{RATE})){factor}", name or legend(by, counter))


def a_minute(counter: str, by: str = "", name: str = "") -> Query:
    return a_second(counter, by, name, times=60)


def in_range(counter: str, by: str = "", name: str = "") -> Query:
    """How many within the time that the dashboard shows, to the whole: Prometheus reckons beyond the first and last look."""
    return Query(f"round(sum{_by(by)}(increase({selected(counter)}[$__range])))", name or legend(by, counter))


def quantile(share: float, histogram: str, by: str = "", name: str = "") -> Query:
    bucket = selected(histogram.replace("{", "_bucket{", 1) if "{" in histogram else f"{histogram}_bucket")
    labels = f"{by}, le" if by else "le"
    return Query(
        f"histogram_quantile({share}, sum by ({labels}) (rate({bucket}{RATE})))", name or f"p{share * 100:g} {legend(by, '')}".strip()
    )


def p95(histogram: str, by: str = "", name: str = "") -> Query:
    return quantile(0.95, histogram, by, name or legend(by, "p95"))


def selected(metric: str) -> str:
    """With the selectors of the dashboard's variables, before those that it has."""
    name, _, own = metric.rstrip("}").partition("{")
    return f"{name}{{$here,{own}}}" if own else f"{name}{{$here}}"
