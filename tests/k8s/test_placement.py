"""Where Ray puts the gpu configuration's models: on their groups' pods, or on one machine."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from deployments.config import read_config
from tests.k8s.manifests import K8S, Document, ray_service

MACHINE_MEMORY = 44_000_000_000
"""What Ray takes of a machine of 64 GB for its actors."""

PLACE = """
import json, sys
import ray
from ray.cluster_utils import Cluster

nodes, wanted = json.loads(sys.stdin.read())
cluster = Cluster(True, head_node_args={"num_cpus": 0, "include_dashboard": False})
names = {cluster.add_node(wait=False, **node).node_id: name for name, node in nodes}
cluster.wait_for_nodes()
ray.init(address=cluster.address, logging_level="ERROR")

@ray.remote
class Replica:
    def node(self):
        return ray.get_runtime_context().get_node_id()

def ask(wanted):
    replicas.extend(Replica.options(**options).remote() for options in wanted)
    return [replica.node.remote() for replica in replicas[-len(wanted):]] if wanted else []

there, replicas = int(sys.argv[1]), []
asked = ask(wanted[:there])
# The first ones have their places before others ask. Those find none and stay away: the time is
# for the first.
ray.wait(asked, num_returns=there, timeout=120)
asked += ask(wanted[there:])
late, _ = ray.wait(asked, num_returns=len(asked), timeout=3)
print(json.dumps([names[ray.get(a)] if a in late else None for a in asked]))
ray.shutdown()
cluster.shutdown()
"""


def _place(nodes: list[tuple[str, dict]], wanted: list[dict], there: int) -> list[str | None]:
    """The nodes of actors with the wanted options, None for those that find no place.

    So many of them, the first ones, ask before the others.
    """
    done = subprocess.run(
        [sys.executable, "-c", PLACE, str(there)],
        input=json.dumps([nodes, wanted]),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def options() -> dict[str, dict]:
    """The ray_actor_options of each model, without CPUs: this machine has few."""
    (application,) = read_config(K8S / "overlays/gpu/serve_config.yaml")["applications"]
    models = [model["id"] for model in application["args"]["models"]]
    deployments = {each["name"]: each["ray_actor_options"] for each in application["deployments"]}
    return {model: {**deployments[model], "num_cpus": 0} for model in models}


def test_each_replica_has_a_pod_of_its_models_group(
    options: dict[str, dict], rendered: dict[str, list[Document]]
) -> None:
    groups = ray_service(rendered["gpu"])["spec"]["rayClusterConfig"]["workerGroupSpecs"]
    nodes = []
    for group in groups:
        limits = group["template"]["spec"]["containers"][0]["resources"]["limits"]
        node = {
            "num_cpus": 0,
            "num_gpus": int(limits.get("nvidia.com/gpu", 0)),
            "memory": int(limits["memory"].removesuffix("Gi")) * 2**30,
            "labels": group.get("labels", {}),
            "object_store_memory": 80_000_000,
        }
        nodes.append((group["groupName"], node))
    models = list(options)
    wanted = [options[model] for model in (*models, *models)]
    # A second replica of each waits for a pod that the autoscaler would add.
    assert _place(nodes, wanted, len(models)) == [*models, *([None] * len(models))]


def test_one_machine_holds_all_and_one_more_while_it_is_updated(options: dict[str, dict]) -> None:
    machine = {
        "num_cpus": 0,
        "num_gpus": 1,
        "memory": MACHINE_MEMORY,
        "object_store_memory": 80_000_000,
    }
    wanted = [*options.values(), options["controlnet"]]
    assert _place([("machine", machine)], wanted, 4) == ["machine"] * 4
