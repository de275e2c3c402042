"""deploy/k8s is what Kubernetes takes, closed as far as it can be, and true to the image recipe."""

import copy
import json
import os
import subprocess
from pathlib import Path

import pytest
import yaml

from libs.common.domain.version import VERSION
from tests.deploy import recipe
from tests.deploy.database import SERVICES
from tests.deploy.manifests import (
    EXAMPLES,
    KUBERNETES,
    OVERLAYS,
    PODS,
    Manifest,
    amount,
    containers,
    environ,
    examples,
    faults_by_schema,
    mounts,
    of_kind,
    overlay,
    rendered,
    template,
)
from tests.deploy.programs import program
from tools.monitoring.prometheus_rule import FILE, prometheus_rule
from tools.setup import ROOT

BY_OTHERS = {"ScaledObject", "PodMonitor", "PrometheusRule"}
WITHOUT_SCHEMA = {"Cluster", "Certificate"}
"""Of CloudNativePG and cert-manager: no package has their schemas."""
IMAGE_USER = 65532
OWN_IMAGES = {f"clipstream-{service}" for service in (*SERVICES, "tools", "asr-tiny-en")}


def strictly_validated(manifests: tuple[Manifest, ...], folder: Path) -> str:
    file = folder / "manifests.yaml"
    file.write_text(yaml.safe_dump_all(manifests))
    judge = [program("python"), "-m", "kubernetes_validate", "--strict", "--quiet", file]
    judged = subprocess.run(judge, capture_output=True, text=True, check=False, timeout=120)
    return judged.stdout + judged.stderr + ("" if judged.returncode == 0 else f"exit {judged.returncode}")


@pytest.mark.parametrize("name", OVERLAYS)
def test_kubernetes_takes_every_manifest_of_an_overlay(name: str, tmp_path: Path):
    core = tuple(manifest for manifest in overlay(name) if manifest["kind"] not in BY_OTHERS)
    assert len(core) > 30
    assert strictly_validated(core, tmp_path) == ""


def test_a_field_that_kubernetes_does_not_know_is_found(tmp_path: Path):
    broken = copy.deepcopy(of_kind(overlay("local"), "Deployment")["clipstream-api"])
    template(broken)["spec"]["containers"][0]["livenesProbe"] = {}
    assert "livenesProbe" in strictly_validated((broken,), tmp_path)


def test_custom_resources_keep_to_the_schemas_of_their_makers():
    custom = tuple(manifest for manifest in overlay("production") if manifest["kind"] in BY_OTHERS)
    secrets = tuple(manifest for manifest in examples() if manifest["kind"] == "ExternalSecret")
    assert {manifest["kind"] for manifest in (*custom, *secrets)} == {*BY_OTHERS, "ExternalSecret"}
    assert faults_by_schema((*custom, *secrets)) == ""
    broken = copy.deepcopy(next(manifest for manifest in custom if manifest["kind"] == "ScaledObject"))
    broken["spec"]["triggers"][0]["metadata"]["lagThreshold"] = 4
    assert "lagThreshold must be string" in faults_by_schema((broken,))


def test_the_core_kinds_of_the_examples_are_taken_too(tmp_path: Path):
    kinds = {manifest["kind"] for manifest in examples()}
    core = tuple(manifest for manifest in examples() if manifest["kind"] not in {*WITHOUT_SCHEMA, "ExternalSecret"})
    assert kinds == {*WITHOUT_SCHEMA, "ExternalSecret", "NetworkPolicy"}
    assert strictly_validated(core, tmp_path) == ""
    assert {file.name for file in EXAMPLES} == {"external-secrets.yaml", "nats-certificate.yaml", "postgres-cluster.yaml"}


@pytest.mark.parametrize("name", ["groq", "model"])
def test_each_component_goes_onto_the_base(name: str, tmp_path: Path):
    base, component = (os.path.relpath(KUBERNETES / path, tmp_path) for path in ("base", f"components/{name}"))
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump({"resources": [base], "components": [component]}))
    made = rendered(tmp_path)
    [asr] = containers(of_kind(made, "Deployment")["clipstream-asr"])
    secrets = {
        "clipstream-asr": dict.fromkeys(("DATABASE_URL", "NATS_URL", "S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY", "GROQ_API_KEY"), "x")
    }
    own = environ(asr, made, secrets)
    assert own["ASR_PROVIDER"] == {"groq": "groq", "model": "local"}[name]
    assert ("GROQ_API_KEY" in own, "ASR_MODEL" in own) == (name == "groq", name == "model")
    assert strictly_validated(made, tmp_path) == ""


def test_with_a_provider_no_pod_waits_for_the_volume_of_a_model(tmp_path: Path):
    """Production has the component `model`; an overlay on it can add components, and take none away."""
    production, groq = (os.path.relpath(KUBERNETES / path, tmp_path) for path in ("overlays/production", "components/groq"))
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump({"resources": [production], "components": [groq]}))
    volumes = {name: dict(mounts(one)) for name, one in of_kind(rendered(tmp_path), "Deployment").items()}
    assert {path for path in volumes["clipstream-asr"] if "emptyDir" not in volumes["clipstream-asr"][path]} == {"/etc/clipstream"}
    assert "persistentVolumeClaim" in dict(mounts(of_kind(overlay("production"), "Deployment")["clipstream-asr"]))["/models"]


def test_a_large_model_has_time_to_be_read_before_the_first_probe_counts():
    """The internal port opens when it is in memory; 3 GB at 10 MB a second."""
    probe = containers(of_kind(overlay("production"), "Deployment")["clipstream-asr"])[0]["startupProbe"]
    assert probe["periodSeconds"] * probe["failureThreshold"] >= 3e9 / 10e6


@pytest.mark.parametrize("name", OVERLAYS)
def test_no_pod_has_rights_that_it_does_not_need(name: str):
    for manifest in of_kind(overlay(name), *PODS).values():
        pod = template(manifest)["spec"]
        context = pod["securityContext"]
        assert pod["automountServiceAccountToken"] is False
        assert pod["enableServiceLinks"] is False
        assert context["runAsNonRoot"] is True
        assert context["runAsUser"] > 0
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in containers(manifest):
            own = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
            assert container["securityContext"] == own, container["name"]
    for account in of_kind(overlay(name), "ServiceAccount").values():
        assert account["automountServiceAccountToken"] is False


@pytest.mark.parametrize("name", OVERLAYS)
def test_every_container_says_what_it_needs_and_what_it_may_take(name: str):
    for manifest in of_kind(overlay(name), *PODS).values():
        for container in containers(manifest):
            needs, may = container["resources"]["requests"], container["resources"]["limits"]
            assert {"cpu", "memory"} <= needs.keys(), container["name"]
            assert "memory" in may, container["name"]
            assert all(amount(needs[one]) <= amount(may[one]) for one in needs.keys() & may.keys())


def test_what_each_service_asks_for_is_what_it_was_measured_to_take():
    """Targets, row 13: 150 MB, the clipper 250 MB and its children."""
    asked = {
        service: amount(
            containers(of_kind(overlay("production"), "Deployment")[f"clipstream-{service}"])[0]["resources"]["requests"]["memory"]
        )
        for service in SERVICES
    }
    assert {service: bytes_ >= 150e6 for service, bytes_ in asked.items()} == dict.fromkeys(SERVICES, True)
    assert asked["clipper"] >= 250e6
    assert asked["asr"] >= 250e6


@pytest.mark.parametrize("name", OVERLAYS)
def test_what_a_pod_writes_on_has_a_size_and_fits_below_its_limit(name: str):
    for manifest in of_kind(overlay(name), "Deployment", "Job").values():
        sizes = [amount(volume["emptyDir"]["sizeLimit"]) for _, volume in mounts(manifest) if "emptyDir" in volume]
        limit = amount(containers(manifest)[-1]["resources"]["limits"]["ephemeral-storage"])
        assert sum(sizes) < limit


@pytest.mark.parametrize("name", OVERLAYS)
def test_selectors_match_the_pods_that_they_mean(name: str):
    for manifest in of_kind(overlay(name), "Deployment", "StatefulSet").values():
        assert manifest["spec"]["selector"]["matchLabels"].items() <= template(manifest)["metadata"]["labels"].items()
    pods = [template(manifest) for manifest in of_kind(overlay(name), *PODS).values()]
    for budget in of_kind(overlay(name), "PodDisruptionBudget").values():
        assert budget["spec"]["maxUnavailable"] == 1
        assert sum(budget["spec"]["selector"]["matchLabels"].items() <= pod["metadata"]["labels"].items() for pod in pods) == 1
    for service in of_kind(overlay(name), "Service").values():
        [pod] = [pod for pod in pods if service["spec"]["selector"].items() <= pod["metadata"]["labels"].items()]
        ports = {port["name"]: port["containerPort"] for container in pod["spec"]["containers"] for port in container["ports"]}
        for port in service["spec"]["ports"]:
            assert ports[port["name"]] == port.get("targetPort", port["port"]) or port["targetPort"] == port["name"]


@pytest.mark.parametrize("name", OVERLAYS)
def test_services_roll_without_a_gap_and_janitors_of_two_versions_never_meet(name: str):
    strategies = {deployment: manifest["spec"]["strategy"] for deployment, manifest in of_kind(overlay(name), "Deployment").items()}
    assert strategies.pop("clipstream-janitor") == {"type": "Recreate"}
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}
    assert [strategy for deployment, strategy in strategies.items() if deployment in {f"clipstream-{one}" for one in SERVICES}] == [
        rolling
    ] * 4


@pytest.mark.parametrize("name", OVERLAYS)
def test_each_service_has_an_account_and_a_budget_of_its_own(name: str):
    wanted = {f"clipstream-{service}" for service in SERVICES}
    deployments = of_kind(overlay(name), "Deployment")
    assert deployments.keys() == wanted
    assert {template(each)["spec"]["serviceAccountName"] for each in deployments.values()} == wanted
    assert wanted <= of_kind(overlay(name), "PodDisruptionBudget").keys()
    assert {*wanted, "clipstream-jobs"} <= of_kind(overlay(name), "ServiceAccount").keys()


@pytest.mark.parametrize("name", OVERLAYS)
def test_a_pod_that_is_not_ready_holds_up_no_drain_unless_it_keeps_data(name: str):
    """In an outage of their servers no service is ready, and by default none of their pods could be evicted then."""
    budgets = of_kind(overlay(name), "PodDisruptionBudget")
    policies = {one: budget["spec"].get("unhealthyPodEvictionPolicy") for one, budget in budgets.items() if one != "nats"}
    assert policies == {f"clipstream-{service}": "AlwaysAllow" for service in SERVICES}
    assert ("nats" in budgets, "unhealthyPodEvictionPolicy" in budgets.get("nats", {}).get("spec", {})) == (name == "production", False)


@pytest.mark.parametrize("name", OVERLAYS)
def test_images_and_commands_are_those_of_the_recipe_and_servers_those_of_compose(name: str):
    composed = {service.get("image") for service in yaml.safe_load((ROOT / "compose.yaml").read_text())["services"].values()}
    for manifest in of_kind(overlay(name), *PODS).values():
        for container in containers(manifest):
            image, _, tag = container["image"].partition(":")
            if image not in OWN_IMAGES:
                assert container["image"] in composed
                continue
            target = image.removeprefix("clipstream-")
            assert tag == VERSION
            assert container["command"][:2] == ["tini", "--"] == recipe.entry(target)[:2]
            assert target == "tools" or container["command"] == recipe.entry(target)
            assert (
                template(manifest)["spec"]["securityContext"]["runAsUser"] == IMAGE_USER == int(recipe.last(target, "USER").split(":")[0])
            )


def test_the_jobs_find_their_files_and_programs_in_the_image():
    given = {str(path) for path in recipe.files("tools").values()}
    [migrate, grant] = containers(of_kind(overlay("production"), "Job")["clipstream-migrate"])
    folder = migrate["command"][migrate["command"].index("--migrations-dir") + 1]
    own = {str(file.relative_to(ROOT)) for file in (ROOT / "libs" / "common" / "migrations").glob("*.sql")}
    assert own
    assert own <= given
    assert folder == "libs/common/migrations"
    [grants] = [word.removeprefix("--file=") for word in grant["command"] if word.startswith("--file=")]
    assert grants in given
    [bootstrap] = containers(of_kind(overlay("production"), "Job")["clipstream-bootstrap"])
    assert bootstrap["command"][2:] == recipe.command("tools")


def test_the_alerts_are_those_of_the_monitoring_folder():
    assert FILE.read_text() == prometheus_rule(), "run python -m tools.monitoring.prometheus_rule"
    files = (ROOT / "deploy" / "monitoring" / name for name in ("recording.yml", "alerts.yml"))
    wanted = [group for file in files for group in yaml.safe_load(file.read_text())["groups"]]
    assert of_kind(overlay("production"), "PrometheusRule")["clipstream"]["spec"]["groups"] == wanted


def test_prometheus_finds_the_services_under_the_names_that_alerts_know():
    [monitor] = of_kind(overlay("production"), "PodMonitor").values()
    [endpoint] = monitor["spec"]["podMetricsEndpoints"]
    wanted = monitor["spec"]["selector"]["matchLabels"]
    found = set()
    for manifest in of_kind(overlay("production"), *PODS).values():
        labels = template(manifest)["metadata"]["labels"]
        names = {port["name"] for container in containers(manifest) for port in container.get("ports", [])}
        if wanted.items() <= labels.items() and endpoint["port"] in names:
            found.add(labels[monitor["spec"]["jobLabel"]])
    targets = json.loads((ROOT / "deploy" / "monitoring" / "targets.json").read_text())
    assert found == {target["labels"]["job"] for target in targets}
    assert endpoint["path"] == "/metrics"


def test_the_dashboards_are_there_as_grafana_finds_them():
    boards = of_kind(overlay("production"), "ConfigMap")["clipstream-dashboards"]
    assert boards["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert boards["data"] == {file.name: file.read_text() for file in (ROOT / "deploy" / "monitoring" / "dashboards").glob("*.json")}
