"""Scrape configuration, alerts and dashboard fit the code and each other."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from deployments.config import ConfigError, read_config
from tests.k8s.manifests import K8S, of_kind, render
from tests.monitoring import MONITORING, alerts, expressions, selectors

ROOT = K8S.parent
README = K8S / "README.md"
SUFFIXES = {"Counter": ("_total",), "Gauge": ("",), "Histogram": ("_bucket", "_sum", "_count")}


def monitor() -> dict:
    return yaml.safe_load((MONITORING / "pod-monitor.yaml").read_text())["spec"]


def declared() -> set[str]:
    """Names under which the code's metrics are exported."""
    names = set()
    for folder in ("deployments", "storage"):
        for file in (ROOT / folder).rglob("*.py"):
            made = re.findall(
                r'\b(Counter|Gauge|Histogram)\(\s*f?"(backdrop_[\w{}]+)"', file.read_text()
            )
            for kind, name in made:
                for part in ("pixels", "shape") if "{name}" in name else ("",):
                    whole = name.replace("{name}", part)
                    names |= {f"ray_{whole}{suffix}" for suffix in SUFFIXES[kind]}
    return names


@pytest.mark.parametrize(("title", "expression"), list(expressions()))
def test_expressions_are_promql_over_metrics_of_the_code(title: str, expression: str) -> None:
    read = selectors(expression)
    assert read
    for selector in read:
        assert selector.name.startswith("ray_serve_") or selector.name in declared(), title


def test_what_is_read_is_scraped_and_little_else() -> None:
    (endpoint,) = monitor()["podMetricsEndpoints"]
    rules = [rule for rule in endpoint["metricRelabelings"] if "sourceLabels" in rule]
    assert [rule["sourceLabels"] for rule in rules] == [["__name__"]] * len(rules)

    def scraped(name: str) -> bool:
        matches = {rule["action"]: re.fullmatch(rule["regex"], name) for rule in rules}
        return matches["keep"] is not None and matches["drop"] is None

    read = {selector.name for _, text in expressions() for selector in selectors(text)}
    assert [name for name in sorted(read) if not scraped(name)] == []
    assert {name for name in declared() if not scraped(name)} == {
        name for name in declared() if name.endswith("_sum")
    }
    for other in ("ray_node_mem_used", "ray_grpc_server_req_new_total", "ray_serve_num_requests"):
        assert not scraped(other)


def test_every_metric_is_on_the_dashboard_or_in_an_alert() -> None:
    read = {selector.name for _, text in expressions() for selector in selectors(text)}
    shown = {re.sub("_(bucket|total)$", "", name) for name in read}
    every = {re.sub("_(bucket|sum|count|total)$", "", name) for name in declared()}
    # The one is a tick's count, the others say what panels beside them say.
    assert every - shown == {
        "ray_backdrop_engine_ticks",
        "ray_backdrop_engine_cancel_latency_seconds",
        "ray_backdrop_fidelity_pixels",
        # Off by default, and named by the operator's own keys.
        "ray_backdrop_key_requests",
        "ray_backdrop_key_images",
        "ray_backdrop_key_steps",
        "ray_backdrop_key_pixels",
    }


def test_every_panel_is_of_the_cluster_and_the_namespace_that_are_chosen() -> None:
    dashboard = json.loads((MONITORING / "dashboard.json").read_text())
    variables = {variable["name"] for variable in dashboard["templating"]["list"]}
    assert {"cluster", "namespace"} <= variables
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            for selector in selectors(target["expr"].replace("$__rate_interval", "1m")):
                chosen = {each.name: each.value for each in selector.matchers.matchers}
                assert chosen["cluster"] == "$cluster", panel["title"]
                assert chosen["namespace"] == "$namespace", panel["title"]


def test_every_alert_tells_its_cluster_and_its_namespace() -> None:
    for rule in alerts():
        if rule["alert"] != "BackdropAbsent":  # of which nothing is there
            sums = re.findall(r"\b(?:sum|min|count)\b(?! by \(cluster, namespace)", rule["expr"])
            assert sums == [], rule["alert"]


def test_no_expression_reads_the_sum_of_a_histogram() -> None:
    # Ray makes it of the middles of the buckets, so that a mean would be wrong.
    for title, text in expressions():
        assert not [each for each in selectors(text) if each.name.endswith("_sum")], title


def test_the_manual_names_every_metric() -> None:
    table = (ROOT / "docs" / "operations.md").read_text()
    for name in declared():
        plain = re.sub("_(bucket|sum|count|total)$", "", name).removeprefix("ray_")
        assert f"`{plain}`" in table, plain


def test_the_readme_says_what_to_do_about_every_alert() -> None:
    told = re.findall(r"^\| `(Backdrop\w+)` \|", README.read_text(), re.MULTILINE)
    assert sorted(told) == sorted(rule["alert"] for rule in alerts())


def test_the_readme_turns_tracing_on_with_a_key_of_serve(tmp_path: Path) -> None:
    block = next(
        text
        for text in re.findall(
            r"^```yaml\n(.*?)^```$", README.read_text(), re.DOTALL | re.MULTILINE
        )
        if "tracing_config" in text
    )
    config = tmp_path / "serve_config.yaml"
    config.write_text((ROOT / "serve_config.yaml").read_text() + block)
    assert read_config(config)["tracing_config"]["enabled"] is True
    config.write_text((ROOT / "serve_config.yaml").read_text() + block.replace("ratio", "rate"))
    with pytest.raises(ConfigError, match="sampling_rate"):
        read_config(config)


def test_panels_do_not_overlap() -> None:
    taken = set()
    for panel in json.loads((MONITORING / "dashboard.json").read_text())["panels"]:
        place = panel["gridPos"]
        cells = {
            (place["x"] + across, place["y"] + down)
            for across in range(place["w"])
            for down in range(place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells


def test_the_component_scrapes_the_pods_of_the_overlay(tmp_path: Path) -> None:
    component = "../" * len(tmp_path.resolve().parts[1:]) + str(MONITORING)[1:]
    overlay = "../" * len(tmp_path.resolve().parts[1:]) + str(K8S / "overlays" / "demo")[1:]
    (tmp_path / "kustomization.yaml").write_text(
        f"namespace: backdrop\nresources: [{overlay}]\ncomponents: [{component}]\n"
    )
    documents = render(tmp_path)
    (monitor,) = of_kind(documents, "PodMonitor")
    (rule,) = of_kind(documents, "PrometheusRule")
    (service,) = of_kind(documents, "RayService")
    assert monitor["metadata"]["namespace"] == service["metadata"]["namespace"]
    assert rule["spec"]["groups"]
    dashboards = [
        each
        for each in of_kind(documents, "ConfigMap")
        if each["metadata"].get("labels", {}).get("grafana_dashboard") == "1"
    ]
    assert [json.loads(text)["uid"] for each in dashboards for text in each["data"].values()] == [
        "backdrop"
    ]
    port = monitor["spec"]["podMetricsEndpoints"][0]["port"]
    wanted = dict(monitor["spec"]["selector"]["matchLabels"])
    assert wanted.pop("ray.io/is-ray-node") == "yes"  # KubeRay's own label
    cluster = service["spec"]["rayClusterConfig"]
    for group in [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]:
        template = group["template"]
        assert wanted.items() <= template["metadata"]["labels"].items()
        (ray, *_) = template["spec"]["containers"]
        assert {"name": port, "containerPort": 8080} in ray["ports"]
    allowed = [
        policy
        for policy in of_kind(documents, "NetworkPolicy")
        if policy["metadata"]["name"] == "metrics"
    ]
    assert allowed[0]["spec"]["ingress"][0]["ports"] == [{"protocol": "TCP", "port": port}]
