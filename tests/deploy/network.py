"""Who reaches whom by the network policies of some manifests: a way is open when its two ends let it through."""

from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network

from tests.deploy.manifests import PODS, Manifest, of_kind, template


@dataclass(frozen=True)
class Peer:
    """A pod, here or in another namespace, or an address outside of the cluster."""

    name: str
    labels: dict[str, str] = field(default_factory=dict)
    namespace: str = "clipstream"
    address: str = ""
    ports: tuple[int, ...] = ()


def pods(manifests: tuple[Manifest, ...]) -> list[Peer]:
    return [_peer(name, manifest) for name, manifest in of_kind(manifests, *PODS).items()]


def _peer(name: str, manifest: Manifest) -> Peer:
    pod = template(manifest)
    ports = tuple(port["containerPort"] for container in pod["spec"]["containers"] for port in container.get("ports", []))
    return Peer(name, pod["metadata"]["labels"], ports=ports)


def reaches(policies: tuple[Manifest, ...], source: Peer, target: Peer, port: int, protocol: str = "TCP") -> bool:
    """Pods of other namespaces, and what is outside, have no policies that we know of."""
    out = _passes(policies, "Egress", source, target, port, protocol)
    return out and _passes(policies, "Ingress", target, source, port, protocol)


def _passes(policies: tuple[Manifest, ...], direction: str, subject: Peer, other: Peer, port: int, protocol: str) -> bool:
    if subject.namespace != "clipstream" or subject.address:
        return True
    bound = [p["spec"] for p in policies if direction in p["spec"]["policyTypes"] and selects(p["spec"]["podSelector"], subject.labels)]
    side = "to" if direction == "Egress" else "from"
    rules = [rule for spec in bound for rule in spec.get(direction.lower(), [])]
    return not bound or any(_is_port(rule, port, protocol) and _is_peer(rule.get(side), other) for rule in rules)


def _is_port(rule: Manifest, port: int, protocol: str) -> bool:
    asked = rule.get("ports")
    return asked is None or any((one["port"], one.get("protocol", "TCP")) == (port, protocol) for one in asked)


def _is_peer(asked: list[Manifest] | None, peer: Peer) -> bool:
    return asked is None or any(_matches(one, peer) for one in asked)


def _matches(asked: Manifest, peer: Peer) -> bool:
    if block := asked.get("ipBlock"):
        return bool(peer.address) and _is_in(peer.address, block)
    if peer.address:
        return False
    namespace = asked.get("namespaceSelector")
    is_there = peer.namespace == "clipstream" if namespace is None else selects(namespace, {"kubernetes.io/metadata.name": peer.namespace})
    return is_there and selects(asked.get("podSelector", {}), peer.labels)


def _is_in(address: str, block: Manifest) -> bool:
    one = ip_address(address)
    return one in ip_network(block["cidr"]) and not any(one in ip_network(network) for network in block.get("except", []))


def selects(selector: Manifest, labels: dict[str, str]) -> bool:
    """A label selector with matchLabels and the operator In; another operator is a KeyError."""
    exact = selector.get("matchLabels", {}).items() <= labels.items()
    kinds = {"In": lambda one: labels.get(one["key"]) in one["values"]}
    return exact and all(kinds[one["operator"]](one) for one in selector.get("matchExpressions", []))
