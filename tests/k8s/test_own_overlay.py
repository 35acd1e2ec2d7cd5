"""The overlay that k8s/README.md shows, rendered as it stands there, and each component alone."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
import yaml

from deployments.config import read_config
from tests.k8s import manifest_rules
from tests.k8s.manifests import K8S, Document, named, of_kind, ray_service, render, serve_config

# What has no namespace.
CLUSTER_WIDE = {"Namespace"}
EDGES = ("gateway-api", "ingress-nginx")
OWN_STORE = {"kind": "minio", "endpoint": "s3.example.com", "bucket": "shop", "secure": True}


def shown() -> str:
    """The kustomization that the README shows."""
    text = (K8S / "README.md").read_text(encoding="utf-8")
    return re.search(r"### An overlay of your own\n.*?```yaml\n(.*?)```", text, re.DOTALL)[1]


def rendered(folder: Path, kustomization: str) -> list[Document]:
    """Render an overlay of one's own in a copy of the manifests."""
    k8s = folder / "k8s"
    shutil.copytree(K8S, k8s)
    own = k8s / "overlays" / "shop"
    own.mkdir()
    config = yaml.safe_load((K8S / "overlays/gpu/serve_config.yaml").read_text())
    config["applications"][0]["args"]["storage"]["store"] = {**OWN_STORE, "create_bucket": False}
    (own / "serve_config.yaml").write_text(yaml.safe_dump(config))
    (own / "kustomization.yaml").write_text(kustomization)
    read_config(own / "serve_config.yaml")
    return render(own)


def stray(documents: list[Document]) -> list[str]:
    """Objects that would be applied to another namespace than the others."""
    return [
        f"{each['kind']} {each['metadata']['name']}"
        for each in documents
        if each["kind"] not in CLUSTER_WIDE and each["metadata"].get("namespace") != "backdrop"
    ]


@pytest.mark.parametrize("edge", EDGES)
@pytest.mark.parametrize("monitoring", [False, True])
def test_the_overlay_of_the_readme(tmp_path: Path, edge: str, monitoring: bool) -> None:
    kustomization = yaml.safe_load(shown())
    kustomization["components"][0] = f"../../components/{edge}"
    if edge != "gateway-api":
        targets = kustomization["patches"]
        kustomization["patches"] = [p for p in targets if p["target"]["kind"] != "HTTPRoute"]
    if monitoring:
        kustomization["components"].append("../../monitoring")
    documents = rendered(tmp_path, yaml.safe_dump(kustomization))
    assert stray(documents) == []
    assert list(manifest_rules.broken_pods(documents)) == []
    assert list(manifest_rules.broken_selectors(documents)) == []
    assert list(manifest_rules.too_short(documents)) == []
    # Nothing names what the components have taken away.
    assert "object-store" not in yaml.safe_dump_all(documents).replace("object-store-root", "")
    store = serve_config(documents)["applications"][0]["args"]["storage"]["store"]
    assert store == {**OWN_STORE, "create_bucket": False}
    text = named(documents, "ConfigMap", "serve-config")["data"]["serve_config.yaml"]
    assert yaml.safe_load(text) == serve_config(documents)
    options = ray_service(documents)["spec"]["rayClusterConfig"]["gcsFaultToleranceOptions"]
    assert options["redisAddress"] == "redis.example.com:6379"
    images = set(re.findall(r"image: (\S*backdrop\S*)", yaml.safe_dump_all(documents)))
    assert images == {"registry.example.com/backdrop:0.1.0-cuda"}
    if edge == "gateway-api":
        assert of_kind(documents, "HTTPRoute")[0]["spec"]["hostnames"] == ["images.shop.example"]


def test_without_its_namespace_objects_go_astray(tmp_path: Path) -> None:
    kustomization = shown().replace("namespace: backdrop", "# no namespace")
    assert "NetworkPolicy workers-to-s3" in stray(rendered(tmp_path, kustomization))


def test_the_overlay_without_the_internet(tmp_path: Path) -> None:
    text = (K8S / "README.md").read_text(encoding="utf-8")
    patches = re.search(r"### Without the internet\n.*?```yaml\n(.*?)```", text, re.DOTALL)[1]
    kustomization = yaml.safe_load(shown())
    kustomization["patches"] += yaml.safe_load(patches)
    documents = rendered(tmp_path, yaml.safe_dump(kustomization))
    assert stray(documents) == []
    assert list(manifest_rules.broken_pods(documents)) == []
    (weights,) = named(documents, "Job", "weights")["spec"]["template"]["spec"]["containers"]
    assert {"name": "HF_ENDPOINT", "value": "https://hub.example.internal"} in weights["env"]
    for name, network, port in (
        ("weights-to-hub", "10.20.0.0/16", 443),
        ("workers-to-s3", "10.30.0.0/16", 9000),
    ):
        (way,) = named(documents, "NetworkPolicy", name)["spec"]["egress"]
        assert way["to"] == [{"ipBlock": {"cidr": network}}]
        assert way["ports"] == [{"port": port, "protocol": "TCP"}]


def test_tools_that_apply_a_repository_find_the_jobs_as_they_made_them(tmp_path: Path) -> None:
    kustomization = {
        "namespace": "backdrop",
        "resources": ["../gpu"],
        "components": ["../../components/gitops"],
    }
    documents = rendered(tmp_path, yaml.safe_dump(kustomization))
    jobs = {job["metadata"]["name"]: job for job in of_kind(documents, "Job")}
    assert set(jobs) == {"bucket", "weights"}
    for job in jobs.values():
        assert "ttlSecondsAfterFinished" not in job["spec"]
        assert job["metadata"]["annotations"] == {
            "argocd.argoproj.io/sync-options": "Force=true,Replace=true",
            "kustomize.toolkit.fluxcd.io/force": "enabled",
        }


@pytest.mark.parametrize("overlay", ["demo", "gpu"])
@pytest.mark.parametrize(
    "component", ["external-s3", "external-redis", "gitops", *EDGES, "../monitoring", None]
)
def test_each_component_with_each_overlay(
    tmp_path: Path, overlay: str, component: str | None
) -> None:
    kustomization = {"namespace": "backdrop", "resources": [f"../{overlay}"]}
    if component is not None:
        kustomization["components"] = [f"../../components/{component}"]
    documents = rendered(tmp_path, yaml.safe_dump(kustomization))
    assert stray(documents) == []
    if component not in ("external-s3", "external-redis"):  # which need an address of one's own
        assert list(manifest_rules.broken_pods(documents)) == []
        assert list(manifest_rules.broken_selectors(documents)) == []
