"""The expressions of dashboard and alerts, the metrics they name, and where Ray exports metrics."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import promql_parser as promql
import psutil
import yaml

MONITORING = Path(__file__).parents[1] / "k8s" / "monitoring"
OF_PROMETHEUS = frozenset({"cluster", "namespace"})
"""Labels that it adds to every series, and no exporter has."""


def expressions() -> Iterator[tuple[str, str]]:
    """Title and expression of every panel's query, and name and expression of every alert."""
    for panel in json.loads((MONITORING / "dashboard.json").read_text())["panels"]:
        for target in panel["targets"]:
            yield panel["title"], all_chosen(target["expr"]).replace("$__rate_interval", "1m")
    for rule in alerts():
        yield rule["alert"], rule["expr"]


def all_chosen(expression: str) -> str:
    """A panel's expression when all clusters and namespaces are chosen."""
    return expression.replace("$cluster", ".*").replace("$namespace", ".*")


def alerts() -> list[dict]:
    document = yaml.safe_load((MONITORING / "alerts.yaml").read_text())
    return [rule for group in document["spec"]["groups"] for rule in group["rules"]]


def selectors(expression: str) -> list[promql.VectorSelector]:
    """The series an expression reads; an error where it is not PromQL."""
    found = []

    def visit(node: promql.Expr) -> None:
        if isinstance(node, promql.MatrixSelector):
            found.append(node.vector_selector)
        elif isinstance(node, promql.VectorSelector):
            found.append(node)

    promql.walk(promql.parse(expression), visit)
    return found


def exporter(pid: int) -> str:
    """The URL at which Ray exports the metrics of the cluster that a process started."""
    for process in psutil.Process(pid).children(recursive=True):
        with suppress(psutil.Error):
            for connection in process.net_connections("tcp"):
                url = f"http://127.0.0.1:{connection.laddr.port}/metrics"
                with suppress(httpx.HTTPError, UnicodeDecodeError):
                    if connection.status == psutil.CONN_LISTEN and "ray_serve" in (
                        httpx.get(url, timeout=5).text
                    ):
                        return url
    raise RuntimeError("no process exports metrics")
