"""The demo overlay's serve configuration on a real Ray cluster of two nodes.

Changed are only the addresses, and what would cost time: one model, few steps, plain torch.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from deployments.config import read_config
from tests.k8s.ray_nodes import RayNodes, ray_nodes
from tests.s3_server import S3Server, _free_ports

REPOSITORY = Path(__file__).parents[2]
KEY = "shop-key-5d1c0e7a9b3f4286"
TIMEOUT_S = 300


@dataclass
class Service:
    """The deployed service.

    Attributes:
        nodes: The cluster.
        document: The serve configuration that was deployed first.
        folder: Where configurations are written.
        client: Speaks to the Serve proxies.
    """

    nodes: RayNodes
    document: dict[str, Any]
    folder: Path
    client: httpx.Client = field(repr=False)

    def deploy(self, document: dict[str, Any]) -> None:
        file = self.folder / "serve_config.yaml"
        file.write_text(yaml.safe_dump(document))
        done = self.nodes.run("serve", "deploy", "--address", self.nodes.dashboard, str(file))
        assert done.returncode == 0, done.stderr

    def application(self) -> dict[str, Any]:
        return self.nodes.serve_state()["applications"].get("backdrop", {"status": "ABSENT"})

    def wait_until(self, *states: str) -> dict[str, Any]:
        deadline = time.monotonic() + TIMEOUT_S
        while (found := self.application())["status"] not in states:
            assert time.monotonic() < deadline, yaml.safe_dump(found)
            time.sleep(0.3)
        return found

    def generate(self) -> httpx.Response:
        return self.client.post(
            "/api/generate",
            files={"image": (REPOSITORY / "deployments/samples/coffee.png").read_bytes()},
            data={
                "prompt": "Tropical beach",
                "model": "stable-diffusion",
                "num_images": "1",
                "preserve_product": "false",
            },
            headers={"Accept": "text/event-stream"},
        )

    def steps_of_an_image(self) -> int:
        """Steps that the model runs by default, as the events of a request tell."""
        for line in self.generate().text.splitlines():
            if line.startswith("data:") and '"steps"' in line:
                return int(yaml.safe_load(line.removeprefix("data:"))["steps"])
        raise AssertionError("no progress was reported")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("k8s")
    ports = _free_ports(8)
    document = read_config(REPOSITORY / "k8s/overlays/demo/serve_config.yaml")
    document["http_options"] = {"host": "127.0.0.1", "port": ports.pop()}
    application = document["applications"][0]
    application["args"]["models"] = application["args"]["models"][:1]
    application["args"]["models"][0] |= {"steps": 4, "strength": 1.0, "backend": "torch"}
    application["deployments"] = [
        deployment
        for deployment in application["deployments"]
        if deployment["name"] != "controlnet"
    ]
    store = application["args"]["storage"]["store"]
    with S3Server(folder / "s3") as s3:
        s3.client().make_bucket(store["bucket"])
        store["endpoint"] = s3.endpoint
        secrets = {
            "BACKDROP_API_KEYS": f"shop:{KEY}",
            "BACKDROP_S3_ACCESS_KEY": s3.admin.access_key,
            "BACKDROP_S3_SECRET_KEY": s3.admin.secret_key,
        }
        with (
            ray_nodes(ports, secrets) as nodes,
            httpx.Client(
                base_url=f"http://127.0.0.1:{document['http_options']['port']}",
                headers={"X-API-Key": KEY},
                timeout=60,
            ) as client,
        ):
            service = Service(nodes, document, folder, client)
            service.deploy(document)
            service.wait_until("RUNNING", "DEPLOY_FAILED")
            yield service


def test_images_are_made_and_delivered_through_the_bucket(service: Service) -> None:
    answer = service.generate()
    assert answer.status_code == 200
    assert '"url"' in answer.text
    url = answer.text.split('"url":')[1].split('"')[1]
    assert service.client.get(url).content.startswith(b"\x89PNG")
    assert service.client.get("/api/models", headers={"X-API-Key": "wrong"}).status_code == 401


def test_the_cluster_asks_for_its_token(service: Service) -> None:
    answer = httpx.get(f"{service.nodes.dashboard}/api/serve/applications/", timeout=30)
    assert answer.status_code == 401


def test_a_wrong_configuration_is_named_and_the_old_one_serves_on(service: Service) -> None:
    wrong = copy.deepcopy(service.document)
    wrong["applications"][0]["args"]["models"][0]["stepps"] = 3
    service.deploy(wrong)
    failed = service.wait_until("DEPLOY_FAILED")
    assert "stepps" in failed["message"]
    assert service.steps_of_an_image() == 4
