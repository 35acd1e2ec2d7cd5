"""Kustomize overlays rendered, and the objects in them."""

from __future__ import annotations

import os
import subprocess
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

K8S = Path(__file__).parents[2] / "k8s"
# What KubeRay makes for the RayService `backdrop`.
KUBERAY_SERVICES = {("backdrop-serve-svc", 8000), ("backdrop-head-svc", 8265)}

WORKER = "spec.rayClusterConfig.workerGroupSpecs.0.template.spec"
CONTAINER = f"{WORKER}.containers.0"

Document = dict[str, Any]


def render(folder: Path) -> list[Document]:
    """Render a kustomization with the kustomize that is in kubectl."""
    kubectl = Path(sysconfig.get_path("scripts")) / "kubectl"
    done = subprocess.run(
        [kubectl, "kustomize", folder], capture_output=True, text=True, timeout=60, check=False
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    return list(yaml.load_all(done.stdout, yaml.CSafeLoader))


def render_with(folder: Path, overlay: str, components: list[str]) -> list[Document]:
    """Render an overlay with components that it does not include by itself."""

    def path(*parts: str) -> str:
        return os.path.relpath(K8S.joinpath(*parts), folder.resolve())

    kustomization = {
        "resources": [path("overlays", overlay)],
        "components": [path("components", component) for component in components],
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    return render(folder)


@dataclass(frozen=True)
class Pod:
    """A pod as it will run.

    Attributes:
        name: What makes it.
        labels: Its labels, with those that KubeRay adds.
        spec: Its specification.
        claims: Names of volumes that its StatefulSet makes.
    """

    name: str
    labels: Mapping[str, str]
    spec: Document
    claims: frozenset[str] = frozenset()

    @property
    def containers(self) -> list[Document]:
        return [*self.spec.get("initContainers", []), *self.spec["containers"]]

    def ports(self) -> set[object]:
        """Numbers and names of the ports of its containers."""
        named = [port for each in self.containers for port in each.get("ports", [])]
        return {port[key] for port in named for key in ("name", "containerPort")}


def of_kind(documents: list[Document], kind: str) -> list[Document]:
    return [document for document in documents if document["kind"] == kind]


def named(documents: list[Document], kind: str, name: str) -> Document:
    """The object of this kind and name."""
    return next(each for each in of_kind(documents, kind) if each["metadata"]["name"] == name)


def spoil(documents: list[Document], object_: str, path: str, value: object) -> None:
    """Put a value into one object at a dotted path; an empty end of the path appends."""
    node: Any = named(documents, *object_.split())
    *steps, last = path.split(".") if "/" not in path else path.split("//")
    for step in steps:
        node = node[int(step) if step.isdigit() else step]
    if last == "":
        node.append(value)
    else:
        node[last] = value


def ray_service(documents: list[Document]) -> Document:
    (found,) = of_kind(documents, "RayService")
    return found


def pods(documents: list[Document]) -> list[Pod]:
    """All pods of all objects that make some."""
    found = []
    for document in documents:
        name = f"{document['kind']} {document['metadata']['name']}"
        if document["kind"] in ("StatefulSet", "Job"):
            template = document["spec"]["template"]
            claims = document["spec"].get("volumeClaimTemplates", [])
            names = frozenset(claim["metadata"]["name"] for claim in claims)
            found.append(Pod(name, template["metadata"]["labels"], template["spec"], names))
        if document["kind"] == "RayService":
            cluster = document["spec"]["rayClusterConfig"]
            groups = [("headgroup", cluster["headGroupSpec"]["template"])]
            groups += [
                (group["groupName"], group["template"]) for group in cluster["workerGroupSpecs"]
            ]
            for group, template in groups:
                added = {"ray.io/group": group, "ray.io/is-ray-node": "yes"}
                labels = {**template["metadata"]["labels"], **added}
                found.append(Pod(f"{name} {group}", labels, template["spec"]))
    return found


def serve_config(documents: list[Document]) -> Document:
    """The serve configuration that the RayService has."""
    return yaml.safe_load(ray_service(documents)["spec"]["serveConfigV2"])


def selects(selector: Document, labels: Mapping[str, str]) -> bool:
    """Whether a label selector takes an object with these labels."""
    for key, value in selector.get("matchLabels", {}).items():
        if labels.get(key) != value:
            return False
    return all(
        expression["operator"] == "In" and labels.get(expression["key"]) in expression["values"]
        for expression in selector.get("matchExpressions", [])
    )
