"""The container that shows the logs of a pod's replicas, run as the manifests have it."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.k8s.manifests import K8S, Document, ray_service, render

PATIENCE_S = 30


def pods(documents: list[Document]) -> Iterator[Document]:
    """The pod templates of all Ray pods."""
    cluster = ray_service(documents)["spec"]["rayClusterConfig"]
    yield cluster["headGroupSpec"]["template"]["spec"]
    for group in cluster["workerGroupSpecs"]:
        yield group["template"]["spec"]


def follower(pod: Document) -> Document:
    found: Document
    (found,) = (each for each in pod["initContainers"] if each["name"] == "logs")
    return found


@pytest.mark.parametrize("overlay", ["demo", "gpu"])
def test_every_ray_pod_has_the_same_one_for_as_long_as_it_lives(overlay: str) -> None:
    found = [(follower(pod), pod) for pod in pods(render(K8S / "overlays" / overlay))]
    assert len(found) >= 2
    for container, pod in found:
        assert container == found[0][0]
        assert container["restartPolicy"] == "Always"
        assert pod["initContainers"][0] is container, "what waits before it would hide the logs"
        (mount,) = container["volumeMounts"]
        logs = next(m for m in pod["containers"][0]["volumeMounts"] if m["name"] == mount["name"])
        assert (logs["mountPath"], mount["mountPath"]) == ("/tmp/ray", "/logs")


class Running:
    """The container's command, over a folder of one's own."""

    def __init__(self, folder: Path) -> None:
        container = follower(next(pods(render(K8S / "overlays" / "demo"))))
        *shell, script = container["command"]
        assert script.count("cd /logs;") == 1
        script = script.replace("cd /logs;", f"cd '{folder}';")
        self.said = folder / "said"
        with self.said.open("wb") as out:
            self.process = subprocess.Popen([*shell, script], stdout=out)

    def says(self, *lines: str) -> None:
        """Wait until it has said these lines, each once."""
        end = time.monotonic() + PATIENCE_S
        while sorted(self.said.read_text().splitlines()) != sorted(lines):
            assert time.monotonic() < end, self.said.read_text()
            time.sleep(0.1)


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    folder = tmp_path / "session_2026-11-30_10-00-00_000000_1" / "logs" / "serve"
    folder.mkdir(parents=True)
    (tmp_path / "session_latest").symlink_to(folder.parents[1])
    return folder


@pytest.fixture
def running(tmp_path: Path, logs: Path) -> Iterator[Running]:
    running = Running(tmp_path)
    yield running
    running.process.terminate()
    running.process.wait(PATIENCE_S)


def test_it_says_what_is_written_to_files_old_and_new_once(logs: Path, running: Running) -> None:
    (logs / "replica_main_ingress_a.log").write_text("GET /\n")
    running.says("GET /")
    with (logs / "replica_main_ingress_a.log").open("a") as file:
        file.write("POST /api/generate\n")
    (logs / "replica_main_studio_b.log").write_text("CALL finish\n")
    (logs / "notes.txt").write_text("other\n")
    running.says("GET /", "POST /api/generate", "CALL finish")


def test_it_goes_on_when_a_file_is_rotated(logs: Path, running: Running) -> None:
    file = logs / "replica_main_ingress_a.log"
    file.write_text("1\n")
    running.says("1")
    file.rename(logs / "replica_main_ingress_a.log.1")
    file.write_text("2\n")
    running.says("1", "2")


def test_it_follows_a_new_session(tmp_path: Path, logs: Path, running: Running) -> None:
    (logs / "proxy.log").write_text("old\n")
    running.says("old")
    later = tmp_path / "session_2026-11-30_11-00-00_000000_1" / "logs" / "serve"
    later.mkdir(parents=True)
    (later / "proxy.log").write_text("new\n")
    running.says("old", "new")


def test_it_ends_when_it_is_told_to(logs: Path, running: Running) -> None:
    (logs / "proxy.log").write_text("1\n")
    running.says("1")
    children = psutil.Process(running.process.pid).children()
    assert "tail" in {child.name() for child in children}
    running.process.terminate()
    assert running.process.wait(PATIENCE_S) == 0
    _, alive = psutil.wait_procs(children, PATIENCE_S)
    assert alive == []
