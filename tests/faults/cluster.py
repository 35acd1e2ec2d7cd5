"""A Ray cluster of several nodes on one machine, with the service on it, in a process of its own.

As a program it reads one command a line, a JSON list, and answers each with a line of JSON:
`["add", name]` and `["remove", name]` change the nodes, `["deploy", config]` gives Serve a
configuration as its REST interface would. The end of the input ends the cluster. The answers have
standard output for themselves: what Ray prints there of a lost node goes to standard error.
`FaultyCluster` is the side of the tests.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil

WORKER = {"num_cpus": 1, "object_store_memory": 100 * 2**20}


class FaultyCluster:
    """The cluster as a test sees it: a head that runs no replicas, and workers by name.

    Args:
        environment: Added to that of every process of the cluster.
    """

    def __init__(self, environment: dict[str, str]) -> None:
        # Not pytest's folder: Ray puts sockets there, whose paths may not be long.
        self._folder = tempfile.TemporaryDirectory(prefix="rf-", ignore_cleanup_errors=True)
        self._environment = environment
        self._raylets: dict[str, int] = {}
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.cluster"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=Path(__file__).parents[2],
            env={
                **os.environ,
                "RAY_USAGE_STATS_ENABLED": "0",
                "RAY_TMPDIR": self._folder.name,
                # A node that is killed is known to be dead after a few seconds.
                "RAY_health_check_period_ms": "1000",
                "RAY_health_check_failure_threshold": "3",
                **self._environment,
            },
            start_new_session=True,
        )
        self._answer()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._process is not None
        started = psutil.Process(self._process.pid).children(recursive=True)
        self._process.stdin.close()  # type: ignore[union-attr]  # a pipe
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()  # type: ignore[union-attr]  # a pipe
        for process in started:
            with _gone_is_fine():
                process.kill()
        psutil.wait_procs(started, timeout=5)
        self._folder.cleanup()

    def _answer(self) -> Any:
        line = self._process.stdout.readline()  # type: ignore[union-attr]  # started, with a pipe
        if not line:
            raise RuntimeError("the cluster's process has ended")
        return json.loads(line)

    def _command(self, *command: object) -> Any:
        print(json.dumps(command), file=self._process.stdin, flush=True)  # type: ignore[union-attr]
        return self._answer()

    def add_node(self, name: str) -> None:
        """Start a worker node."""
        self._raylets[name] = self._command("add", name)

    def remove_node(self, name: str) -> None:
        """Kill every process of a worker node."""
        self._command("remove", name)
        del self._raylets[name]

    def deploy(self, config: dict[str, Any]) -> None:
        """Give Serve a configuration; returns before it is in force."""
        self._command("deploy", config)

    def replicas(self, deployment: str, node: str | None = None) -> list[psutil.Process]:
        """The processes of a deployment's replicas that have started, on one node or all."""
        assert self._process is not None
        top = self._process.pid if node is None else self._raylets[node]
        found = []
        for process in psutil.Process(top).children(recursive=True):
            with _gone_is_fine():
                title = " ".join(process.cmdline())
                if f"ServeReplica:main:{deployment}" in title and "initialize" not in title:
                    found.append(process)
        return found

    def log_lines(self, deployment: str, text: str) -> list[str]:
        """The lines with this text in the logs of a deployment's replicas, dead ones included."""
        return [
            line
            for log in Path(self._folder.name).glob(f"**/logs/serve/replica_*_{deployment}_*.log")
            for line in log.read_text(errors="replace").splitlines()
            if text in line
        ]


@contextmanager
def _gone_is_fine() -> Iterator[None]:
    with suppress(psutil.NoSuchProcess):
        yield


def wait_until(condition: Any, timeout_s: float = 300.0) -> None:
    """Wait for something to become true."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("what was waited for did not happen")
        time.sleep(0.2)


def main() -> None:
    # Before Ray is imported, which prints from threads and from processes of its own.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    import ray
    from ray import serve
    from ray.cluster_utils import Cluster
    from ray.serve.context import _get_global_client
    from ray.serve.schema import ServeDeploySchema

    def answer(value: object) -> None:
        print(json.dumps(value), file=answers, flush=True)

    cluster = Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 0, "object_store_memory": 100 * 2**20},
    )
    ray.init(address=cluster.address, logging_level="ERROR")
    nodes: dict[str, Any] = {}
    started = False
    answer("up")
    for line in sys.stdin:
        match json.loads(line):
            case ["add", name]:
                nodes[name] = cluster.add_node(**WORKER)
                answer(_raylet_of(nodes[name]))
            case ["remove", name]:
                cluster.remove_node(nodes.pop(name), allow_graceful=False)
                answer("removed")
            case ["deploy", config]:
                if not started:
                    serve.start(proxy_location="HeadOnly", http_options=config["http_options"])
                    started = True
                _get_global_client().deploy_apps(ServeDeploySchema.model_validate(config))
                answer("deployed")
    serve.shutdown()
    ray.shutdown()
    cluster.shutdown()


def _raylet_of(node: Any) -> int:
    ((info,),) = [node.all_processes["raylet"]]
    return int(info.process.pid)


if __name__ == "__main__":
    main()
