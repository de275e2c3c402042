"""Who may reach whom: the whole table, and what the network policies of deploy/k8s make of it."""

from ipaddress import ip_address, ip_network

import pytest
import yaml

from libs.common.domain.addresses import is_public
from tests.deploy.database import SERVICES
from tests.deploy.manifests import KUBERNETES, OVERLAYS, Manifest, examples, of_kind, overlay
from tests.deploy.network import Peer, pods, reaches

DATABASE = Peer("postgres", {"clipstream.io/server": "postgres", "cnpg.io/cluster": "clipstream-postgres"}, ports=(5432, 8000))
STRANGER = Peer("stranger", {"app": "anything"}, ports=(80,))
NAMES = Peer("names", {"k8s-app": "kube-dns"}, namespace="kube-system", ports=(53,))
CACHE = Peer("names-on-the-node", address="169.254.20.10", ports=(53, 80))
INGRESS = Peer("ingress", namespace="ingress-nginx")
PROMETHEUS = Peer("prometheus", namespace="monitoring")
KEDA = Peer("keda", namespace="keda")
OPERATOR = Peer("cnpg", namespace="cnpg-system")
NEIGHBOUR = Peer("neighbour", {"app.kubernetes.io/name": "clipstream-api", "clipstream.io/server": "nats"}, namespace="another")
FAR = Peer("far", address="198.41.0.4", ports=(22, 80, 443, 5432))
FAR_6 = Peer("far-6", address="2606:4700::1111", ports=(22, 80, 443))
STORAGE = Peer("storage", address="203.0.113.7", ports=(22, 443))
INSIDE = [
    Peer(address, address=address, ports=(80, 443)) for address in ("10.1.2.3", "169.254.169.254", "192.168.1.1", "127.0.0.1", "fd00::1")
]
OTHERS = [STRANGER, NAMES, CACHE, INGRESS, PROMETHEUS, KEDA, OPERATOR, NEIGHBOUR, FAR, FAR_6, *INSIDE]
STAGES = tuple(f"clipstream-{service}" for service in SERVICES)
BOTH = (NAMES.name, CACHE.name)
WEB = {("clipstream-resolver", far, port) for far in ("far", "far-6") for port in (80, 443)} | {
    ("clipstream-api", far, 443) for far in ("far", "far-6")
}
COMMON = (
    {(one, "postgres", 5432) for one in (*STAGES, "clipstream-migrate")}
    | {(one, "nats", port) for one in (*STAGES, "clipstream-bootstrap") for port in (4222, 8222)}
    | {(one, names, 53) for one in (*STAGES, "clipstream-migrate", "clipstream-bootstrap", "nats") for names in BOTH}
    | {("prometheus", one, 9100) for one in STAGES}
    | {("ingress", "clipstream-api", 8080)}
    | WEB
)
TABLE = {
    "local": COMMON
    | {(one, "s3", 9000) for one in (*STAGES, "clipstream-bootstrap")}
    | {(one, names, 53) for one in ("postgres", "s3") for names in BOTH},
    "production": COMMON
    | {(one, "storage", 443) for one in (*STAGES, "clipstream-bootstrap")}
    | {("nats", "nats", 6222), ("keda", "nats", 8222)}
    | {("postgres", names, 53) for names in BOTH}
    | {(one, "postgres", port) for one in ("postgres", "cnpg") for port in (5432, 8000)}
    # Whom the instances of CloudNativePG ask who is first: the API server, wherever it is.
    | {("postgres", one.name, 443) for one in (FAR, FAR_6, STORAGE, *INSIDE)},
}


def policies_and_peers(name: str) -> tuple[tuple[Manifest, ...], list[Peer]]:
    own = pods(overlay(name))
    known = [DATABASE, STORAGE] if name == "production" else []
    manifests = (*overlay(name), *(examples() if name == "production" else ()))
    return tuple(of_kind(manifests, "NetworkPolicy").values()), [*own, *known, *OTHERS]


@pytest.mark.parametrize("name", OVERLAYS)
def test_whoever_may_reach_somebody_does_and_nobody_else(name: str):
    policies, peers = policies_and_peers(name)
    inside = {peer.name for peer in peers if peer.namespace == "clipstream" and not peer.address}
    open_ways = {
        (source.name, target.name, port)
        for source in peers
        for target in peers
        for port in target.ports
        if {source.name, target.name} & inside and reaches(policies, source, target, port)
    }
    assert open_ways == TABLE[name]


@pytest.mark.parametrize("names", [NAMES, CACHE], ids=BOTH)
@pytest.mark.parametrize("name", OVERLAYS)
def test_names_are_asked_for_over_udp_too(name: str, names: Peer):
    policies, peers = policies_and_peers(name)
    asked = {
        peer.name for peer in peers if reaches(policies, peer, names, 53, "UDP") and peer.namespace == "clipstream" and not peer.address
    }
    assert asked == {source for source, target, _ in TABLE[name] if target == names.name}


@pytest.mark.parametrize("name", OVERLAYS)
def test_every_pod_is_closed_before_it_is_opened(name: str):
    closed = of_kind(overlay(name), "NetworkPolicy")["nobody"]["spec"]
    assert closed == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


def edges() -> list[str]:
    """The first and the last address of each range that a policy leaves out, and their neighbours beyond."""
    rules = of_kind(overlay("production"), "NetworkPolicy")["to-sites"]["spec"]["egress"][0]["to"]
    ranges = [ip_network(network) for rule in rules for network in rule["ipBlock"]["except"]]
    firsts = [int(one.network_address) for one in ranges]
    numbers = {
        (one.version, number)
        for one, first in zip(ranges, firsts, strict=True)
        for number in (first - 1, first, first + one.num_addresses - 1)
    }
    beyond = {(one.version, first + one.num_addresses) for one, first in zip(ranges, firsts, strict=True)}
    highest = {4: 2**32, 6: 2**128}
    return [
        str(ip_address(number.to_bytes(4 if version == 4 else 16)))
        for version, number in numbers | beyond
        if 0 <= number < highest[version]
    ]


@pytest.mark.parametrize("policy", ["clipstream-resolver", "clipstream-api"])
def test_the_policies_leave_out_what_the_guard_in_the_code_refuses(policy: str):
    policies, peers = policies_and_peers("local")
    [source] = [peer for peer in peers if peer.name == policy]
    tried = edges()
    assert len(tried) > 40
    for address in tried:
        assert reaches(policies, source, Peer("web", address=address), 443) == is_public(ip_address(address)), address


def test_the_transcriber_reaches_its_provider_with_the_component_alone():
    added = yaml.safe_load((KUBERNETES / "components" / "groq" / "network-policy.yaml").read_text())
    policies, peers = policies_and_peers("local")
    [asr] = [peer for peer in peers if peer.name == "clipstream-asr"]
    assert not reaches(policies, asr, FAR, 443)
    assert reaches((*policies, added), asr, FAR, 443)
    assert not any(reaches((*policies, added), asr, inside, 443) for inside in INSIDE)
    others = [peer for peer in peers if peer.name not in {"clipstream-asr", "clipstream-resolver", "clipstream-api"}]
    assert not any(reaches((*policies, added), peer, FAR, 443) for peer in others if peer.namespace == "clipstream" and not peer.address)
