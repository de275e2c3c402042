"""`python -m tools.monitoring.prometheus_rule`: writes deploy/monitoring's rules as the PrometheusRule of deploy/k8s."""

from textwrap import indent

from tools.setup import ROOT

MONITORING = ROOT / "deploy" / "monitoring"
FILE = ROOT / "deploy" / "k8s" / "overlays" / "production" / "alerts.yaml"
HEAD = """\
# Written by `python -m tools.monitoring.prometheus_rule` from deploy/monitoring: change the rules there.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata: {name: clipstream}
spec:
  groups:
"""


def prometheus_rule() -> str:
    """The whole file: kustomize can't put one file's YAML into another's."""
    files = ((MONITORING / name).read_text() for name in ("recording.yml", "alerts.yml"))
    return HEAD + "".join(indent(text.partition("groups:\n")[2], "  ") for text in files)


if __name__ == "__main__":
    FILE.write_text(prometheus_rule())
