"""What kubectl makes of deploy/k8s, as data: pods, containers, and the environment that a container begins with."""

import json
import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.deploy.programs import program
from tools.setup import ROOT

KUBERNETES = ROOT / "deploy" / "k8s"
OVERLAYS = ("local", "production")
EXAMPLES = sorted((KUBERNETES / "examples").glob("*.yaml"))
Manifest = dict[str, Any]
PODS = ("Deployment", "StatefulSet", "Job")
_REFERENCE = re.compile(r"\$\((\w+)\)")
_UNITS = {"": 1.0, "m": 1e-3, "Mi": 2.0**20, "Gi": 2.0**30}


@cache
def overlay(name: str) -> tuple[Manifest, ...]:
    return rendered(KUBERNETES / "overlays" / name)


def rendered(folder: Path) -> tuple[Manifest, ...]:
    """A kustomization's manifests. AssertionError in kubectl's words."""
    made = subprocess.run([program("kubectl"), "kustomize", folder], capture_output=True, text=True, check=False, timeout=60)
    assert made.returncode == 0, made.stderr
    return tuple(yaml.safe_load_all(made.stdout))


def examples() -> tuple[Manifest, ...]:
    return tuple(manifest for file in EXAMPLES for manifest in yaml.safe_load_all(file.read_text()))


def of_kind(manifests: tuple[Manifest, ...], *kinds: str) -> dict[str, Manifest]:
    """By their names."""
    return {manifest["metadata"]["name"]: manifest for manifest in manifests if manifest["kind"] in kinds}


def template(manifest: Manifest) -> Manifest:
    """The pod that a Deployment, StatefulSet or Job makes."""
    made: Manifest = manifest["spec"]["template"]
    return made


def containers(manifest: Manifest) -> list[Manifest]:
    """Those that begin, then those that last."""
    pod = template(manifest)["spec"]
    return [*pod.get("initContainers", []), *pod["containers"]]


def environ(container: Manifest, manifests: tuple[Manifest, ...], secrets: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """What the process finds, as the kubelet puts it together; `secrets` by name and key. KeyError where one is missing."""
    maps = of_kind(manifests, "ConfigMap")
    found: dict[str, str] = {}
    for source in container.get("envFrom", []):
        found |= maps[source["configMapRef"]["name"]]["data"]
    for variable in container.get("env", []):
        found[variable["name"]] = _REFERENCE.sub(lambda one: found[one[1]], _value(variable, secrets))
    return found


def _value(variable: Manifest, secrets: Mapping[str, Mapping[str, str]]) -> str:
    if "value" in variable:
        return str(variable["value"])
    source = variable["valueFrom"]
    if "fieldRef" in source:
        return "nats-0"
    reference = source["secretKeyRef"]
    return secrets[reference["name"]][reference["key"]]


def asked_secrets(manifests: tuple[Manifest, ...]) -> dict[str, set[str]]:
    """Secrets and their keys that containers begin with."""
    asked: dict[str, set[str]] = {}
    for manifest in of_kind(manifests, *PODS).values():
        for container in containers(manifest):
            for variable in container.get("env", []):
                if reference := variable.get("valueFrom", {}).get("secretKeyRef"):
                    asked.setdefault(reference["name"], set()).add(reference["key"])
    return asked


def amount(quantity: str) -> float:
    """A quantity of Kubernetes in cores or bytes."""
    number = quantity.rstrip("mMGi")
    return float(number) * _UNITS[quantity.removeprefix(number)]


def mounts(manifest: Manifest) -> Iterator[tuple[str, Manifest]]:
    """Paths and the volumes that lie there, of the pod's lasting container."""
    pod = template(manifest)["spec"]
    volumes = {volume["name"]: volume for volume in pod.get("volumes", [])}
    claims = {claim["metadata"]["name"]: claim for claim in manifest["spec"].get("volumeClaimTemplates", [])}
    for mount in pod["containers"][0].get("volumeMounts", []):
        yield mount["mountPath"], (volumes | claims)[mount["name"]]


def faults_by_schema(manifests: tuple[Manifest, ...]) -> str:
    """What the published schemas of custom resources have against them; nothing is well. Deno fetches them once, by their hashes."""
    here, cache_folder = Path(__file__).parent, ROOT / ".venv-deploy" / "deno"
    options = ["--quiet", "--no-config", "--no-check", "--node-modules-dir=none", "--lock=crds.lock", "--frozen", "--allow-env"]
    argv = [ROOT / ".venv" / "bin" / "deno", "run", *options, f"--allow-read={cache_folder}", "crds.ts"]
    judged = subprocess.run(
        argv,
        cwd=here,
        env={**os.environ, "DENO_DIR": str(cache_folder)},
        input=json.dumps(manifests),
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return judged.stdout
