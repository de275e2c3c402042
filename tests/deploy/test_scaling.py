"""The autoscalers of deploy/k8s look at the queues that there are."""

import re
from typing import Any

import pytest

from libs.common.domain.events import Priority
from libs.common.domain.subjects import CLIPS, durable
from libs.common.runtime.streams import wanted_consumers
from services.asr.main import STAGES as ASR
from services.clipper.main import STAGES as CLIPPER
from services.resolver.main import STAGES as RESOLVER
from tests.deploy.manifests import Manifest, environ, of_kind, overlay
from tools.setup import ROOT

STAGES = {"clipstream-resolver": RESOLVER, "clipstream-clipper": CLIPPER, "clipstream-asr": ASR}
USERS = (ROOT / "deploy" / "nats" / "users.conf").read_text()


def scaled() -> dict[str, Manifest]:
    return of_kind(overlay("production"), "ScaledObject")


def test_each_stage_is_scaled_and_its_deployment_leaves_the_number_to_that():
    deployments = of_kind(overlay("production"), "Deployment")
    assert scaled().keys() == STAGES.keys()
    for name, one in (scaled() | of_kind(overlay("production"), "HorizontalPodAutoscaler")).items():
        assert one["spec"]["scaleTargetRef"]["name"] == name
        assert "replicas" not in deployments[name]["spec"]
    assert deployments["clipstream-janitor"]["spec"]["replicas"] >= 2


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_is_scaled_by_all_its_lanes(name: str):
    asked = {trigger["metadata"]["consumer"] for trigger in scaled()[name]["spec"]["triggers"]}
    assert asked == {durable(stage.name, priority) for stage in STAGES[name] for priority in Priority}


def test_every_consumer_that_there_is_scales_something():
    asked = [trigger["metadata"]["consumer"] for one in scaled().values() for trigger in one["spec"]["triggers"]]
    assert sorted(asked) == sorted(str(consumer.durable_name) for consumer in wanted_consumers())


@pytest.mark.parametrize("name", STAGES)
def test_a_trigger_finds_the_stream_at_the_message_servers(name: str):
    service = of_kind(overlay("production"), "Service")["nats"]
    for trigger in scaled()[name]["spec"]["triggers"]:
        told: dict[str, Any] = trigger["metadata"]
        host, _, port = told["natsServerMonitoringEndpoint"].partition(":")
        assert host == f"{service['metadata']['name']}.{service['metadata']['namespace']}.svc"
        assert int(port) in {each["port"] for each in service["spec"]["ports"]}
        assert service["spec"]["clusterIP"] == "None", "KEDA asks the leader by its name before this one"
        assert told["stream"] == CLIPS
        assert re.search(rf"^  {told['account']} {{\n    jetstream: enabled", USERS, re.MULTILINE)
        assert all(isinstance(value, str) for value in told.values())


@pytest.mark.parametrize("name", STAGES)
def test_a_replica_is_asked_for_as_many_jobs_as_it_works_on(name: str):
    spec = scaled()[name]["spec"]
    [container] = of_kind(overlay("production"), "Deployment")[name]["spec"]["template"]["spec"]["containers"]
    given = environ({"envFrom": container["envFrom"]}, overlay("production"), {})
    modifiers = spec["advanced"]["scalingModifiers"]
    assert modifiers["target"] == given["WORKER_MAX_CONCURRENCY"]
    assert {trigger["metadata"]["lagThreshold"] for trigger in spec["triggers"]} == {modifiers["target"]}
    assert modifiers["formula"].split(" + ") == [trigger["name"] for trigger in spec["triggers"]]
    assert [trigger["name"] for trigger in spec["triggers"]] == [
        trigger["metadata"]["consumer"].replace("-", "_") for trigger in spec["triggers"]
    ]


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_shrinks_slowly_and_never_to_less_than_two(name: str):
    spec = scaled()[name]["spec"]
    down = spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]["scaleDown"]
    assert down["stabilizationWindowSeconds"] >= 300
    assert all(policy["type"] == "Percent" and policy["value"] <= 25 for policy in down["policies"])
    assert 2 <= spec["minReplicaCount"] < spec["maxReplicaCount"]


@pytest.mark.parametrize("name", STAGES)
def test_replicas_stay_as_they_are_while_the_message_servers_can_t_be_asked(name: str):
    """A fallback would be that of each trigger, and their sum what is scaled by (KEDA's issue 5371)."""
    spec = scaled()[name]["spec"]
    assert "fallback" not in spec
    assert "formula" in spec["advanced"]["scalingModifiers"]
    assert len(spec["triggers"]) > 1
