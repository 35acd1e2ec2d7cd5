"""The overlays, rendered once."""

from __future__ import annotations

import copy

import pytest
import yaml

from tests.k8s import manifests
from tests.k8s.manifests import Document, ray_service, serve_config

VARIANTS = {
    "demo": ("demo", []),
    "gpu": ("gpu", []),
    "gpu, S3 and Redis elsewhere, gateway": (
        "gpu",
        ["external-s3", "external-redis", "gateway-api"],
    ),
    "demo, nginx, monitoring": ("demo", ["ingress-nginx", "../monitoring"]),
}


@pytest.fixture(scope="session")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Document]]:
    return {
        name: manifests.render_with(tmp_path_factory.mktemp("variant"), overlay, components)
        for name, (overlay, components) in VARIANTS.items()
    }


@pytest.fixture(params=VARIANTS)
def documents(
    request: pytest.FixtureRequest, rendered: dict[str, list[Document]]
) -> list[Document]:
    found = copy.deepcopy(rendered[request.param])
    if "external-s3" in VARIANTS[request.param][1]:
        # What the README's overlay of one's own changes.
        config = serve_config(found)
        store = config["applications"][0]["args"]["storage"]["store"]
        store["endpoint"] = "s3.example.com"
        ray_service(found)["spec"]["serveConfigV2"] = yaml.safe_dump(config)
        cluster = ray_service(found)["spec"]["rayClusterConfig"]
        cluster["gcsFaultToleranceOptions"]["redisAddress"] = "redis.example.com:6379"
    return found


@pytest.fixture
def demo(rendered: dict[str, list[Document]]) -> list[Document]:
    return copy.deepcopy(rendered["demo, nginx, monitoring"])
