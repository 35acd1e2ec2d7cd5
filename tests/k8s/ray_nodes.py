"""A Ray cluster of two nodes on this machine, started as KubeRay's pods start theirs.

Each node is a `ray start --block` in a process of its own, with token authentication on.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

START_TIMEOUT_S = 120


@dataclass
class RayNodes:
    """The running cluster.

    Attributes:
        dashboard: URL that `serve deploy` is given.
        environment: What a command needs to speak to the cluster.
        logs: Folder of all that Ray logs.
    """

    dashboard: str
    environment: dict[str, str]
    logs: Path

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the environment's own, such as `serve`."""
        return subprocess.run(
            [_script(command[0]), *command[1:]],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def serve_state(self) -> dict[str, object]:
        """What the dashboard says of Serve, which is what KubeRay goes by."""
        answer = httpx.get(
            f"{self.dashboard}/api/serve/applications/",
            headers={"Authorization": f"Bearer {self.environment['RAY_AUTH_TOKEN']}"},
            timeout=30,
        )
        answer.raise_for_status()
        return answer.json()


@contextmanager
def ray_nodes(ports: list[int], environment: dict[str, str]) -> Iterator[RayNodes]:
    """A head without CPUs, and a worker with four.

    Args:
        ports: Seven that are free.
        environment: What replicas find in theirs, secrets above all.
    """
    # Sockets in it have long names, and a socket's path may have 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="k8s-"))
    gcs, dashboard, client, *rest = ports
    started: list[subprocess.Popen[bytes]] = []
    nodes = RayNodes(
        f"http://127.0.0.1:{dashboard}",
        {
            **os.environ,
            **environment,
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": secrets.token_hex(32),
            "RAY_USAGE_STATS_ENABLED": "0",
            # Other tests may leave it little of the machine.
            "RAY_raylet_start_wait_time_s": str(START_TIMEOUT_S),
            "RAY_ADDRESS": f"127.0.0.1:{gcs}",
        },
        folder / "session_latest" / "logs",
    )

    def start(*options: str) -> None:
        agent, metrics = rest.pop(), rest.pop()
        command = [_script("ray"), "start", "--block", "--node-ip-address=127.0.0.1", *options]
        command += [f"--dashboard-agent-listen-port={agent}", f"--metrics-export-port={metrics}"]
        log_file = folder / f"node-{agent}.log"
        with log_file.open("wb") as log:
            node = subprocess.Popen(
                command,
                env=nodes.environment,
                cwd=folder,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        started.append(node)
        deadline = time.monotonic() + START_TIMEOUT_S
        # Printed once the head knows the node.
        while "Ray runtime started." not in (said := log_file.read_text()):
            if node.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(said)
            time.sleep(0.3)

    try:
        start(
            "--head",
            f"--port={gcs}",
            f"--dashboard-port={dashboard}",
            f"--ray-client-server-port={client}",
            f"--temp-dir={folder}",
            "--num-cpus=0",
            f"--object-store-memory={100_000_000}",
        )
        start(f"--address=127.0.0.1:{gcs}", "--num-cpus=4", f"--object-store-memory={200_000_000}")
        yield nodes
    finally:
        kill_all([process.pid for process in started])
        for process in started:
            process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def kill_all(pids: list[int]) -> None:
    """Kill processes and all that they started."""
    found: list[psutil.Process] = []
    for pid in pids:
        try:
            process = psutil.Process(pid)
            found += [process, *process.children(recursive=True)]
        except psutil.NoSuchProcess:
            continue
    for process in found:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(found, timeout=10)


def _script(name: str) -> str:
    return str(Path(sysconfig.get_path("scripts")) / name)
