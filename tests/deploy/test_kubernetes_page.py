"""The commands of docs/kubernetes.md, run with a kubectl that only notes what it is asked for, and what they then bring, in their order."""

import os
import shlex
from pathlib import Path

import pytest
import yaml

from tests.deploy.manifests import PODS, Manifest, asked_secrets, containers, of_kind, overlay, template
from tests.documents.blocks import ROOT, Block, blocks_of, pasted

LOCAL, PRODUCTION, UPGRADE = blocks_of("docs/kubernetes.md", "sh")
STEP = "clipstream.io/step"
NOTING = """#!/bin/sh
case "$*" in *"-f -") cat >> "$NOTES/stdin" ;; esac
echo "$*" >> "$NOTES/commands"
"""


async def asked(block: Block, folder: Path) -> list[list[str]]:
    """What kubectl was asked for."""
    stub = folder / "kubectl"
    stub.write_text(NOTING)
    stub.chmod(0o755)
    await pasted([block], ROOT, {**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}", "NOTES": str(folder)})
    return [shlex.split(line) for line in (folder / "commands").read_text().splitlines()]


def brought(command: list[str]) -> tuple[Manifest, ...]:
    """What an `apply -k` makes or changes."""
    name = command[command.index("-k") + 1].rpartition("/")[2]
    step = command[command.index("-l") + 1].partition("=")[2] if "-l" in command else None
    return tuple(one for one in overlay(name) if step is None or one["metadata"].get("labels", {}).get(STEP) == step)


def needs(manifest: Manifest) -> set[tuple[str, str]]:
    """What a pod waits for, by kind and name, but for Secrets."""
    pod = template(manifest)["spec"]
    maps = {source["configMapRef"]["name"] for container in containers(manifest) for source in container.get("envFrom", [])}
    volumes = [
        *pod.get("volumes", []),
        *(source for one in pod.get("volumes", []) for source in one.get("projected", {}).get("sources", [])),
    ]
    maps |= {volume["configMap"]["name"] for volume in volumes if "configMap" in volume}
    accounts = {("ServiceAccount", pod["serviceAccountName"])} if "serviceAccountName" in pod else set()
    return {("ConfigMap", name) for name in maps - {"clipstream-authorities"}} | accounts


@pytest.mark.parametrize("block", [LOCAL, PRODUCTION], ids=["local", "production"])
async def test_each_step_finds_what_it_needs_and_the_last_brings_all(block: Block, tmp_path: Path):
    applied = [brought(command) for command in await asked(block, tmp_path) if command[:2] == ["apply", "-k"]]
    first, prepare, everything = applied
    there: set[tuple[str, str]] = set()
    for step in applied:
        there |= {(one["kind"], one["metadata"]["name"]) for one in step}
        for manifest in of_kind(step, *PODS).values():
            assert needs(manifest) <= there, manifest["metadata"]["name"]
    assert {"nats", "nobody", "to-nats", "from-clients-to-nats", "clipstream"} <= {one["metadata"]["name"] for one in first}
    assert set(of_kind(prepare, "Job")) == {"clipstream-migrate", "clipstream-bootstrap"} == {one["metadata"]["name"] for one in prepare}
    assert not of_kind((*first, *prepare), "Deployment", "ScaledObject")
    assert len(of_kind(everything, "Deployment")) == 5


async def test_the_local_secrets_are_made_before_the_jobs_that_ask_for_them(tmp_path: Path):
    commands = await asked(LOCAL, tmp_path)
    assert [command[0] for command in commands[:3]] == ["apply", "create", "apply"]
    made = {one["metadata"]["name"]: set(one["stringData"]) for one in yaml.safe_load_all((tmp_path / "stdin").read_text()) if one}
    assert asked_secrets(overlay("local")).items() <= made.items()


async def test_an_upgrade_takes_the_old_jobs_away(tmp_path: Path):
    [command] = await asked(UPGRADE, tmp_path)
    assert command == ["-n", "clipstream", "delete", "job", "-l", f"{STEP}=prepare", "--ignore-not-found"]
