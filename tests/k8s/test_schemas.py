"""The manifests against Kubernetes' schemas and KubeRay's."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from tests.k8s.manifests import CONTAINER, K8S, Document, of_kind, ray_service, spoil

KUBERNETES = "1.37"
CRD = Path(
    os.environ.get(
        "BACKDROP_RAYSERVICE_CRD", K8S.parents[1] / "shared/kuberay/ray.io_rayservices.yaml"
    )
)
# Kinds that are not Kubernetes' own.
FOREIGN = {"RayService", "HTTPRoute", "PodMonitor", "PrometheusRule"}


def test_every_object_is_what_kubernetes_takes(documents: list[Document]) -> None:
    for document in documents:
        if document["kind"] not in FOREIGN:
            kubernetes_validate.validate(document, KUBERNETES, strict=True)


def test_a_misspelled_field_would_be_found(demo: list[Document]) -> None:
    (job,) = of_kind(demo, "Job")
    job["spec"]["backofLimit"] = 1
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(job, KUBERNETES, strict=True)


@pytest.fixture(scope="module")
def crd() -> jsonschema.Draft7Validator:
    if not CRD.exists():
        pytest.skip(f"no KubeRay CRD at {CRD}; BACKDROP_RAYSERVICE_CRD names another")
    document = yaml.load(CRD.read_text(), yaml.CSafeLoader)
    (version,) = [each for each in document["spec"]["versions"] if each["name"] == "v1"]
    schema = version["schema"]["openAPIV3Schema"]
    _close(schema)
    # The server fills these in, and knows them without the CRD saying so.
    schema["properties"]["metadata"] = {"type": "object"}
    return jsonschema.Draft7Validator(schema)


def _close(schema: Any) -> None:
    """Refuse fields that the API server would drop."""
    if isinstance(schema, list):
        for part in schema:
            _close(part)
    if not isinstance(schema, dict):
        return
    if schema.get("x-kubernetes-int-or-string"):
        schema["anyOf"] = [{"type": "integer"}, {"type": "string"}]
    closed = "properties" in schema and schema.get("type") == "object"
    if closed and not schema.get("x-kubernetes-preserve-unknown-fields"):
        schema.setdefault("additionalProperties", False)
    for value in schema.values():
        _close(value)


def test_the_rayservice_is_what_kuberay_takes(
    documents: list[Document], crd: jsonschema.Draft7Validator
) -> None:
    service = ray_service(documents)
    for template in _templates(service):
        # KubeRay's CRD leaves the metadata of pods open.
        template.pop("metadata")
    assert [f"{list(error.path)}: {error.message}" for error in crd.iter_errors(service)] == []


def _templates(service: Document) -> Iterator[Document]:
    cluster = service["spec"]["rayClusterConfig"]
    yield cluster["headGroupSpec"]["template"]
    for group in cluster["workerGroupSpecs"]:
        yield group["template"]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("spec.serveConfigV3", ""),
        ("spec.rayClusterConfig.authOptions.mode", "tokens"),
        ("spec.rayClusterConfig.workerGroupSpecs.0.groupName", None),
        ("spec.rayClusterConfig.headGroupSpec.rayStartParams.num-cpus", 0),
        (f"{CONTAINER}.securityContext.readOnly", True),
    ],
)
def test_a_wrong_rayservice_would_be_found(
    demo: list[Document], crd: jsonschema.Draft7Validator, path: str, value: object
) -> None:
    service = ray_service(demo)
    for template in _templates(service):
        template.pop("metadata")
    spoil(demo, "RayService backdrop", path, value)
    assert not crd.is_valid(service)
