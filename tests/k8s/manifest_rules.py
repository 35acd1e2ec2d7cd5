"""What must hold between the objects of a rendered overlay.

Each check returns sentences about what is wrong, so that a test can also see that it finds
something. Kubernetes itself would accept all of it: a wrong name shows as a pod that never starts,
or as a rule that lets nothing through.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import yaml

from tests.k8s.manifests import (
    K8S,
    KUBERAY_SERVICES,
    Document,
    Pod,
    of_kind,
    pods,
    ray_service,
    selects,
    serve_config,
)


def broken_pods(documents: list[Document]) -> Iterator[str]:
    """Secrets, ConfigMaps, claims, volumes, accounts and ports that pods name and nobody has."""
    examples = yaml.safe_load_all((K8S / "secret.example.yaml").read_text())
    secrets = {secret["metadata"]["name"]: set(secret["stringData"]) for secret in examples}
    names = {
        kind: {document["metadata"]["name"] for document in of_kind(documents, kind)}
        for kind in ("ConfigMap", "PersistentVolumeClaim", "ServiceAccount")
    }
    for pod in pods(documents):
        volumes = {volume["name"] for volume in pod.spec.get("volumes", [])} | pod.claims
        account = pod.spec.get("serviceAccountName")
        if account is not None and account not in names["ServiceAccount"]:
            yield f"{pod.name}: no service account {account}"
        for volume in pod.spec.get("volumes", []):
            claim = volume.get("persistentVolumeClaim", {}).get("claimName")
            if claim is not None and claim not in names["PersistentVolumeClaim"]:
                yield f"{pod.name}: no claim {claim}"
            secret = volume.get("secret", {}).get("secretName")
            if secret is not None and secret not in secrets:
                yield f"{pod.name}: no secret {secret}"
            config = volume.get("configMap", {}).get("name")
            if config is not None and config not in names["ConfigMap"]:
                yield f"{pod.name}: no ConfigMap {config}"
        for container in pod.containers:
            for mount in container.get("volumeMounts", []):
                if mount["name"] not in volumes:
                    yield f"{pod.name}: no volume {mount['name']}"
            for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
                port = container.get(probe, {}).get("httpGet", {}).get("port")
                if port is not None and port not in pod.ports():
                    yield f"{pod.name}: {probe} asks at a port that it has not, {port}"
        for reference in _secret_references(pod.spec):
            if reference["key"] not in secrets.get(reference["name"], ()):
                yield f"{pod.name}: no secret {reference['name']} with {reference['key']}"
    cluster = ray_service(documents)["spec"]["rayClusterConfig"]
    for reference in _secret_references(cluster["gcsFaultToleranceOptions"]):
        if reference["key"] not in secrets.get(reference["name"], ()):
            yield f"gcsFaultToleranceOptions: no secret {reference['name']}"


def broken_selectors(documents: list[Document]) -> Iterator[str]:
    """Services, budgets, spreads and network policies that reach no pod or no port."""
    all_pods = pods(documents)
    services = set(KUBERAY_SERVICES)
    for service in of_kind(documents, "Service"):
        name = service["metadata"]["name"]
        taken = [
            pod
            for pod in all_pods
            if selects({"matchLabels": service["spec"]["selector"]}, pod.labels)
        ]
        if not taken:
            yield f"Service {name} selects no pod"
        for port in service["spec"]["ports"]:
            services.add((name, port["port"]))
            if not any(port["targetPort"] in pod.ports() for pod in taken):
                yield f"Service {name} sends to a port that no pod has, {port['targetPort']}"
    for stateful in of_kind(documents, "StatefulSet"):
        name = stateful["metadata"]["name"]
        if stateful["spec"]["serviceName"] not in {service for service, _ in services}:
            yield f"StatefulSet {name} names no Service"
        labels = stateful["spec"]["template"]["metadata"]["labels"]
        if not selects(stateful["spec"]["selector"], labels):
            yield f"StatefulSet {name} does not select its own pods"
    for budget in of_kind(documents, "PodDisruptionBudget"):
        if not any(selects(budget["spec"]["selector"], pod.labels) for pod in all_pods):
            yield f"PodDisruptionBudget {budget['metadata']['name']} selects no pod"
    for pod in all_pods:
        for spread in pod.spec.get("topologySpreadConstraints", []):
            if not selects(spread["labelSelector"], pod.labels):
                yield f"{pod.name} is spread among others than its own"
    for backend, port in _backends(documents):
        if (backend, port) not in services:
            yield f"the edge sends to {backend}:{port}, which is no Service"
    addresses = [
        ray_service(documents)["spec"]["rayClusterConfig"]["gcsFaultToleranceOptions"][
            "redisAddress"
        ]
    ]
    for application in serve_config(documents)["applications"]:
        addresses.append(application["args"]["storage"]["store"]["endpoint"])
    for address in addresses:
        host, _, port = address.partition(":")
        inside = "." not in host
        if inside and (host, int(port)) not in services:
            yield f"{address} is no Service"
    yield from _broken_policies(documents, all_pods)


def _broken_policies(documents: list[Document], all_pods: list[Pod]) -> Iterator[str]:
    for policy in of_kind(documents, "NetworkPolicy"):
        name = policy["metadata"]["name"]
        spec = policy["spec"]
        targets = [pod for pod in all_pods if selects(spec["podSelector"], pod.labels)]
        if not targets:
            yield f"NetworkPolicy {name} is about no pod"
        for direction, side in (("ingress", "from"), ("egress", "to")):
            for rule in spec.get(direction, []):
                ends = targets if direction == "ingress" else []
                for peer in rule[side]:
                    if "namespaceSelector" in peer or "ipBlock" in peer:
                        continue
                    found = [pod for pod in all_pods if selects(peer["podSelector"], pod.labels)]
                    if not found:
                        yield f"NetworkPolicy {name} names a peer that is no pod"
                    if direction == "egress":
                        ends = found
                for port in rule.get("ports", []):
                    if ends and not any(port["port"] in pod.ports() for pod in ends):
                        yield f"NetworkPolicy {name} opens a port that no pod has, {port['port']}"


def reachable(documents: list[Document], source: Mapping[str, str], target: Pod, port: int) -> bool:
    """Whether the policies let a pod of this namespace speak to another one's port."""
    ways = []
    for direction, side, own, other in (
        ("egress", "to", source, target.labels),
        ("ingress", "from", target.labels, source),
    ):
        ways.append(
            any(
                selects(policy["spec"]["podSelector"], own)
                and any(
                    "podSelector" in peer
                    and "namespaceSelector" not in peer
                    and selects(peer["podSelector"], other)
                    for peer in rule[side]
                )
                and ("ports" not in rule or port in [each["port"] for each in rule["ports"]])
                for policy in of_kind(documents, "NetworkPolicy")
                for rule in policy["spec"].get(direction, [])
            )
        )
    return all(ways)


def insecure_pods(documents: list[Document]) -> Iterator[str]:
    """Pods that the restricted Pod Security Standard refuses, or that write to their root."""
    autoscaler = ray_service(documents)["spec"]["rayClusterConfig"]["autoscalerOptions"]
    containers = [("autoscaler", autoscaler)]
    for pod in pods(documents):
        context = pod.spec.get("securityContext", {})
        if not context.get("runAsNonRoot") or not context.get("runAsUser"):
            yield f"{pod.name} may run as root"
        if context.get("seccompProfile") != {"type": "RuntimeDefault"}:
            yield f"{pod.name} has no seccomp profile"
        if "serviceAccountName" in pod.spec and pod.spec.get("automountServiceAccountToken", True):
            yield f"{pod.name} is given a token of its service account"
        containers += [(pod.name, container) for container in pod.containers]
    for name, container in containers:
        context = container.get("securityContext", {})
        if context.get("allowPrivilegeEscalation") is not False:
            yield f"{name} may gain privileges"
        if context.get("capabilities", {}).get("drop") != ["ALL"]:
            yield f"{name} keeps capabilities"
        if not context.get("readOnlyRootFilesystem"):
            yield f"{name} may write to its root filesystem"
        if "resources" not in container:
            yield f"{name} has no bounds of CPU and memory"
        if "image" in container and not re.search(r":[^/]*\d", container["image"]):
            yield f"{name} has an image without a version"
        ours = re.fullmatch(r"(\S+/)?backdrop(:\S+)?", container.get("image", "backdrop"))
        if not ours and not re.search(r"@sha256:[0-9a-f]{64}$", container["image"]):
            yield f"{name} has another's image without a digest"


def too_short(documents: list[Document]) -> Iterator[str]:
    """Times that end a request before its deadline does."""
    spec = ray_service(documents)["spec"]
    deadline = max(
        application["args"]["ingress"]["deadline_s"]
        for application in serve_config(documents)["applications"]
    )
    if spec["rayClusterDeletionDelaySeconds"] <= deadline:
        yield "the old RayCluster goes before its requests end"
    for group in spec["rayClusterConfig"]["workerGroupSpecs"]:
        pod = group["template"]["spec"]
        script = pod["containers"][0]["lifecycle"]["preStop"]["exec"]["command"][-1]
        drain = int(re.search(r"--deadline-remaining-seconds (\d+)", script)[1])
        if not deadline < drain < pod["terminationGracePeriodSeconds"]:
            yield f"{group['groupName']}: the pod goes before its requests end"
    for ingress in of_kind(documents, "Ingress"):
        for key in ("proxy-read-timeout", "proxy-send-timeout"):
            if (
                int(ingress["metadata"]["annotations"][f"nginx.ingress.kubernetes.io/{key}"])
                <= deadline
            ):
                yield f"Ingress: {key} ends requests too early"
    for route in of_kind(documents, "HTTPRoute"):
        for rule in route["spec"]["rules"]:
            for key, value in rule["timeouts"].items():
                if int(value.removesuffix("s")) <= deadline:
                    yield f"HTTPRoute: {key} ends requests too early"


def _secret_references(node: object) -> Iterator[Document]:
    if isinstance(node, dict):
        if "secretKeyRef" in node:
            yield node["secretKeyRef"]
        for value in node.values():
            yield from _secret_references(value)
    if isinstance(node, list):
        for value in node:
            yield from _secret_references(value)


def _backends(documents: list[Document]) -> Iterator[tuple[str, int]]:
    for ingress in of_kind(documents, "Ingress"):
        for rule in ingress["spec"]["rules"]:
            for path in rule["http"]["paths"]:
                service = path["backend"]["service"]
                yield service["name"], service["port"]["number"]
    for route in of_kind(documents, "HTTPRoute"):
        for rule in route["spec"]["rules"]:
            for backend in rule["backendRefs"]:
                yield backend["name"], backend["port"]
