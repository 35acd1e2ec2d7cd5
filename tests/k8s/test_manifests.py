"""What must hold between the objects of an overlay, and that the checks find what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from deployments.config import ConfigError, read_config
from tests.k8s import manifest_rules
from tests.k8s.manifests import (
    CONTAINER,
    K8S,
    WORKER,
    Document,
    named,
    of_kind,
    pods,
    ray_service,
    serve_config,
    spoil,
)

ANNOTATION = "nginx.ingress.kubernetes.io/proxy-read-timeout"


def test_the_serve_configuration_is_the_one_in_the_file(
    rendered: dict[str, list[Document]],
) -> None:
    for overlay in ("demo", "gpu"):
        file = K8S / "overlays" / overlay / "serve_config.yaml"
        config = read_config(file)  # refuses unknown keys, deployments and values
        assert serve_config(rendered[overlay]) == config
        (shared,) = of_kind(rendered[overlay], "ConfigMap")
        assert yaml.safe_load(shared["data"]["serve_config.yaml"]) == config
        assert config["http_options"] == {"host": "0.0.0.0", "port": 8000}  # noqa: S104 - as pods need
        assert config["applications"][0]["args"]["ingress"]["require_key"]


def test_a_wrong_serve_configuration_isnamed(tmp_path: Path) -> None:
    text = (K8S / "overlays/demo/serve_config.yaml").read_text()
    wrong = tmp_path / "serve_config.yaml"
    wrong.write_text(text.replace("deadline_s", "deadlines"))
    with pytest.raises(ConfigError, match=r"args\.ingress\.deadlines: unknown key"):
        read_config(wrong)


def test_every_name_is_somebody_s(documents: list[Document]) -> None:
    assert list(manifest_rules.broken_pods(documents)) == []
    assert list(manifest_rules.broken_selectors(documents)) == []


def test_nothing_ends_a_request_early(documents: list[Document]) -> None:
    assert list(manifest_rules.too_short(documents)) == []


def test_pods_may_do_little(documents: list[Document]) -> None:
    assert list(manifest_rules.insecure_pods(documents)) == []


@pytest.mark.parametrize(
    ("object_", "path", "value", "found"),
    [
        (
            "RayService backdrop",
            f"{CONTAINER}.env.3.valueFrom.secretKeyRef.key",
            "kee",
            "no secret backdrop-s3 with kee",
        ),
        (
            "RayService backdrop",
            "spec.rayClusterConfig.gcsFaultToleranceOptions.redisPassword.valueFrom.secretKeyRef.name",
            "x",
            "gcsFaultToleranceOptions: no secret",
        ),
        (
            "RayService backdrop",
            "spec.rayClusterConfig.gcsFaultToleranceOptions.redisAddress",
            "redis:6380",
            "redis:6380 is no Service",
        ),
        ("RayService backdrop", f"{WORKER}.serviceAccountName", "x", "no service account x"),
        ("RayService backdrop", f"{WORKER}.volumes", [], "no volume tmp"),
        (
            "RayService backdrop",
            f"{WORKER}.volumes.",
            {"name": "x", "secret": {"secretName": "y"}},
            "no secret y",
        ),
        (
            "RayService backdrop",
            f"{WORKER}.volumes.",
            {"name": "x", "configMap": {"name": "y"}},
            "no ConfigMap y",
        ),
        (
            "RayService backdrop",
            f"{WORKER}.volumes.",
            {"name": "x", "persistentVolumeClaim": {"claimName": "y"}},
            "no claim y",
        ),
        (
            "RayService backdrop",
            f"{WORKER}.topologySpreadConstraints.0.labelSelector.matchLabels",
            {"ray.io/group": "x"},
            "spread among others",
        ),
        (
            "StatefulSet object-store",
            "spec.template.spec.containers.0.readinessProbe.httpGet.port",
            "s4",
            "readinessProbe asks",
        ),
        ("StatefulSet redis", "spec.serviceName", "x", "redis names no Service"),
        ("StatefulSet redis", "spec.selector.matchLabels", {"a": "b"}, "does not select its own"),
        ("Service redis", "spec.selector", {"a": "b"}, "Service redis selects no pod"),
        ("Service object-store", "spec.ports.0.targetPort", "s4", "a port that no pod has, s4"),
        ("Service object-store", "metadata.name", "x", "object-store:9000 is no Service"),
        ("PodDisruptionBudget ray-worker-cpu", "spec.selector.matchLabels", {"a": "b"}, "Budget"),
        (
            "NetworkPolicy redis-from-head",
            "spec.podSelector.matchLabels",
            {"a": "b"},
            "redis-from-head is about no pod",
        ),
        (
            "NetworkPolicy redis-from-head",
            "spec.ingress.0.from.0.podSelector.matchLabels",
            {"a": "b"},
            "a peer that is no pod",
        ),
        ("NetworkPolicy to-object-store", "spec.egress.0.ports.0.port", 9001, "opens a port"),
        (
            "Ingress backdrop",
            "spec.rules.0.http.paths.0.backend.service.port.number",
            80,
            "the edge sends to backdrop-serve-svc:80",
        ),
    ],
)
def test_a_broken_name_would_be_found(
    demo: list[Document], object_: str, path: str, value: object, found: str
) -> None:
    spoil(demo, object_, path, value)
    problems = [*manifest_rules.broken_pods(demo), *manifest_rules.broken_selectors(demo)]
    assert any(found in problem for problem in problems), problems


@pytest.mark.parametrize(
    ("object_", "path", "value", "found"),
    [
        ("RayService backdrop", f"{WORKER}.securityContext.runAsNonRoot", False, "run as root"),
        ("RayService backdrop", f"{WORKER}.securityContext.seccompProfile", {}, "seccomp"),
        ("RayService backdrop", f"{WORKER}.automountServiceAccountToken", True, "token"),
        ("RayService backdrop", f"{CONTAINER}.securityContext.capabilities", {}, "capabilities"),
        (
            "RayService backdrop",
            f"{CONTAINER}.securityContext.readOnlyRootFilesystem",
            False,
            "root filesystem",
        ),
        (
            "RayService backdrop",
            f"{CONTAINER}.securityContext.allowPrivilegeEscalation",
            True,
            "gain privileges",
        ),
        (
            "RayService backdrop",
            "spec.rayClusterConfig.autoscalerOptions.securityContext",
            {},
            "autoscaler keeps capabilities",
        ),
        ("RayService backdrop", f"{CONTAINER}.image", "backdrop:latest", "without a version"),
        ("RayService backdrop", f"{CONTAINER}.image", "docker.io/other:1.0", "without a digest"),
        ("RayService backdrop", f"{WORKER}.terminationGracePeriodSeconds", 300, "the pod goes"),
        ("RayService backdrop", "spec.rayClusterDeletionDelaySeconds", 60, "the old RayCluster"),
        ("Ingress backdrop", f"metadata//annotations//{ANNOTATION}", "60", "proxy-read-timeout"),
    ],
)
def test_a_careless_pod_would_be_found(
    demo: list[Document], object_: str, path: str, value: object, found: str
) -> None:
    spoil(demo, object_, path, value)
    problems = [*manifest_rules.insecure_pods(demo), *manifest_rules.too_short(demo)]
    assert any(found in problem for problem in problems), problems


def test_pods_reach_what_they_need_and_nothing_else(rendered: dict[str, list[Document]]) -> None:
    documents = rendered["gpu"]
    found = {pod.name.split()[-1]: pod for pod in pods(documents)}

    def opens(source: str, target: str, port: int) -> bool:
        return manifest_rules.reachable(documents, found[source].labels, found[target], port)

    assert opens("cpu", "object-store", 9000)
    assert opens("controlnet", "headgroup", 6379)
    assert opens("bucket", "object-store", 9000)
    assert opens("headgroup", "redis", 6379)
    for source, target, port in (
        ("headgroup", "object-store", 9000),
        ("weights", "object-store", 9000),
        ("cpu", "redis", 6379),
        ("bucket", "headgroup", 8265),
        ("redis", "headgroup", 8265),
        ("object-store", "cpu", 8000),
        ("weights", "redis", 6379),
    ):
        assert not opens(source, target, port), (source, target)
    denied = named(documents, "NetworkPolicy", "deny-all")["spec"]
    assert denied == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


def test_only_the_weights_job_may_reach_the_hub(rendered: dict[str, list[Document]]) -> None:
    documents = rendered["gpu"]
    for policy in of_kind(documents, "NetworkPolicy"):
        if any(
            "ipBlock" in peer for rule in policy["spec"].get("egress", []) for peer in rule["to"]
        ):
            assert policy["metadata"]["name"] in ("weights-to-hub", "head-to-api-server")
            for rule in policy["spec"]["egress"]:
                assert "169.254.0.0/16" in rule["to"][0]["ipBlock"]["except"]
    for pod in pods(documents):
        variables = {each["name"]: each for each in pod.spec["containers"][0].get("env", [])}
        limits = pod.spec["containers"][0].get("resources", {}).get("limits", {})
        if "nvidia.com/gpu" in limits:
            assert variables["HF_HUB_OFFLINE"]["value"] == "1"
        assert ("HF_TOKEN" in variables) == (pod.name == "Job weights")


def test_the_bucket_job_makes_what_the_service_uses(rendered: dict[str, list[Document]]) -> None:
    for overlay in ("demo", "gpu"):
        job = named(rendered[overlay], "Job", "bucket")
        arguments = job["spec"]["template"]["spec"]["containers"][0]["args"]
        given = dict(argument.removeprefix("--").partition("=")[::2] for argument in arguments)
        storage = serve_config(rendered[overlay])["applications"][0]["args"]["storage"]
        store = storage["store"]
        assert (given["endpoint"], given["bucket"]) == (store["endpoint"], store["bucket"])
        assert ("insecure" in given) == (not store["secure"])
        assert not store["create_bucket"]
        assert int(given["expire-days"]) * 86400 > storage["retention_s"]


def test_the_head_serves_nothing_and_runs_nothing(documents: list[Document]) -> None:
    spec = ray_service(documents)["spec"]
    assert spec["excludeHeadPodFromServeSvc"]
    assert spec["rayClusterConfig"]["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"


def test_the_smallest_cluster_holds_the_smallest_service(documents: list[Document]) -> None:
    groups = ray_service(documents)["spec"]["rayClusterConfig"]["workerGroupSpecs"]
    room = {"num_cpus": 0.0, "num_gpus": 0.0}
    for group in groups:
        limits = group["template"]["spec"]["containers"][0]["resources"]["limits"]
        room["num_cpus"] += group["minReplicas"] * float(limits["cpu"])
        room["num_gpus"] += group["minReplicas"] * float(limits.get("nvidia.com/gpu", 0))
    for resource, there in room.items():
        asked = sum(
            deployment.get("autoscaling_config", {"min_replicas": 1})["min_replicas"]
            * deployment["ray_actor_options"].get(resource, 0)
            for deployment in serve_config(documents)["applications"][0]["deployments"]
        )
        assert asked <= there, resource


def test_every_model_has_gpus_that_no_other_takes(rendered: dict[str, list[Document]]) -> None:
    documents = rendered["gpu"]
    application = serve_config(documents)["applications"][0]
    models = {model["id"] for model in application["args"]["models"]}
    groups = {
        group["labels"]["backdrop-model"]: group
        for group in ray_service(documents)["spec"]["rayClusterConfig"]["workerGroupSpecs"]
        if "labels" in group
    }
    assert set(groups) == models
    deployments = {each["name"]: each for each in application["deployments"]}
    for model, group in groups.items():
        options = deployments[model]["ray_actor_options"]
        refused = options["label_selector"]["backdrop-model"]
        assert set(refused.removeprefix("!in(").removesuffix(")").split(",")) == models - {model}
        limits = group["template"]["spec"]["containers"][0]["resources"]["limits"]
        # A pod's limit is what KubeRay tells Ray: it holds one replica, a second goes elsewhere.
        there = int(limits["memory"].removesuffix("Gi")) * 2**30
        assert options["memory"] <= there < 2 * options["memory"]
        replicas = deployments[model]["autoscaling_config"]
        assert group["minReplicas"] >= replicas["min_replicas"]
        assert group["maxReplicas"] > replicas["max_replicas"]


def test_what_needs_no_gpu_stays_off_the_pods_that_have_one(
    rendered: dict[str, list[Document]],
) -> None:
    documents = rendered["gpu"]
    application = serve_config(documents)["applications"][0]
    models = {model["id"] for model in application["args"]["models"]}
    options = {each["name"]: each["ray_actor_options"] for each in application["deployments"]}
    assert set(options) - models == {"admission", "ingress", "studio", "storage"}
    for name in set(options) - models:
        refused = options[name]["label_selector"]["backdrop-model"]
        assert set(refused.removeprefix("!in(").removesuffix(")").split(",")) == models
        assert "num_gpus" not in options[name]
    # Studio was seen at 2.2 GB.
    assert options["studio"]["memory"] > 2.2e9
    assert all(options[model]["num_gpus"] > 0 for model in models)
    # The least that there is holds one replica of each, and what it takes of memory.
    cpu = ray_service(documents)["spec"]["rayClusterConfig"]["workerGroupSpecs"][0]
    limits = cpu["template"]["spec"]["containers"][0]["resources"]["limits"]
    there = int(limits["memory"].removesuffix("Gi")) * 2**30
    assert sum(options[name]["memory"] for name in set(options) - models) <= there


def test_ray_sees_no_gpus_where_none_are_asked_for(documents: list[Document]) -> None:
    cluster = ray_service(documents)["spec"]["rayClusterConfig"]
    for group in [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]:
        (container, *_) = group["template"]["spec"]["containers"]
        asked = "nvidia.com/gpu" in container["resources"]["limits"]
        assert (group["rayStartParams"].get("num-gpus") == "0") != asked
        assert "NVIDIA_VISIBLE_DEVICES" not in {each["name"] for each in container["env"]}
    assert "NVIDIA_VISIBLE_DEVICES" not in (K8S / "Dockerfile").read_text()


def test_clients_cannot_set_serves_own_headers(rendered: dict[str, list[Document]]) -> None:
    headers = {"x-request-timeout-seconds", "x-request-disconnect-disabled"}
    (route,) = of_kind(rendered["gpu, S3 and Redis elsewhere, gateway"], "HTTPRoute")
    (filter_,) = route["spec"]["rules"][0]["filters"]
    assert set(filter_["requestHeaderModifier"]["remove"]) == headers
    (ingress,) = of_kind(rendered["demo, nginx, monitoring"], "Ingress")
    annotations = ingress["metadata"]["annotations"]
    snippet = annotations["nginx.ingress.kubernetes.io/configuration-snippet"]
    for header in headers:
        assert f'proxy_set_header {header} "";' in snippet
    assert annotations["nginx.ingress.kubernetes.io/proxy-buffering"] == "off"
