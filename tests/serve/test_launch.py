"""The `backdrop` command of an installed wheel, with the configuration that is in the package."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from io import BytesIO
from ipaddress import ip_address
from pathlib import Path

import grpc
import httpx
import psutil
import pytest
from PIL import Image

from deployments.launch.processes import is_alive
from tests.documents import blocks, read
from tests.serve.conftest import free_port

ROOT = Path(__file__).parents[2]


def test_a_node_that_dies_ends_it_with_a_sentence(wheel, tmp_path):
    """The node's agent takes the node with it, and nobody starts either again.

    The first in this module, before there is another Ray.
    """
    process = wheel.start("--port", free_port(), cwd=tmp_path)
    agent = None
    while agent is None:
        assert process.poll() is None, process.communicate()
        time.sleep(0.2)
        below = psutil.Process(process.pid).children(recursive=True)
        agent = next((each for each in below if "ray::DashboardAgent" in name_of(each)), None)
    started = [each for each in psutil.process_iter() if session_of(each) == os.getsid(agent.pid)]
    agent.kill()
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "backdrop: the node is gone: Ray's raylet" in out.splitlines()[-1]
    assert "Running config file" in out  # the log's end
    assert not any(is_alive(each) for each in started)


def name_of(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return ""


def session_of(process: psutil.Process | subprocess.Popen[str]) -> int:
    try:
        return os.getsid(process.pid)
    except OSError:
        return 0


def test_it_prints_four_images_that_can_be_fetched(launched):
    assert len(launched.images) == 4, "\n".join(launched.printed)
    assert len(set(launched.images)) == 4
    for url in launched.images:
        image = Image.open(BytesIO(httpx.get(url).content))
        assert image.width > image.height  # as the sample photo
    folder = launched.folder / "data" / "generated"
    assert any(str(folder) in line for line in launched.printed)
    assert len(list(folder.rglob("*.png"))) >= 4


def test_its_lines_are_few_and_the_addresses_come_last(launched):
    printed = launched.printed
    assert all(line.startswith(("backdrop: ", "  http")) for line in printed), "\n".join(printed)
    assert len(printed) <= 15
    assert [line.startswith("  http") for line in printed[-5:]] == [True] * 4 + [False]
    for model in ("stable-diffusion", "controlnet"):
        assert sum(line.startswith(f"backdrop: model {model} is ready") for line in printed) == 1
    log = next(launched.folder.glob("backdrop-*.log"))
    assert log.name in printed[0]
    told = log.read_text(encoding="utf-8")
    assert "Deploying new app" in told
    # What `serve run` prints has the same line: it does not say by itself when it is ready.
    assert f" -- ready on {launched.url}/ with stable-diffusion, controlnet\n" in told


def test_after_the_start_a_request_is_one_line(launched):
    httpx.get(f"{launched.url}/api/models")
    httpx.get(f"{launched.url}/nowhere")
    lines = [launched.process.stdout.readline()]
    while "unmatched" not in lines[-1]:
        lines.append(launched.process.stdout.readline())
    told = [line.split(" ", 1)[1].partition("  ")[0] for line in lines]
    assert told[-2:] == ["GET /api/models 200", "GET unmatched 404 not_found"]
    assert set(told[:-2]) <= {"GET /generated/{key}.png 200"}  # of the test before


def test_it_listens_on_this_machine_alone(launched):
    """Its metrics too, which ask for no token; but a port of each replica, which asks for one."""
    below = psutil.Process(launched.process.pid).children(recursive=True)
    (node,) = {session_of(each) for each in below} - {session_of(launched.process)}
    listening = [
        (each, connection.laddr)
        for each in psutil.process_iter()
        if session_of(each) == node
        for connection in each.net_connections()
        if connection.status == psutil.CONN_LISTEN
    ]
    open_to_all = [
        (name_of(each), at.port)
        for each, at in listening
        if not ip_address(at.ip.removeprefix("::ffff:")).is_loopback
    ]
    assert len(listening) > len(open_to_all) > 0
    for name, port in open_to_all:
        assert "ray::ServeReplica" in name
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            call = channel.unary_unary("/ray.serve.ASGIService/HandleRequest")
            with pytest.raises(grpc.RpcError) as refused:
                call(b"", timeout=10)
        assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED


def test_serve_deploy_takes_the_configuration(launched, tmp_path):
    """`serve deploy` to the running cluster, and `serve status`, as docs/operations.md says."""
    text = " ".join(launched.printed)
    dashboard = re.search(r"Ray's dashboard (http://127\.0\.0\.1:\d+)", text)[1]
    port = launched.url.rsplit(":", 1)[1]
    config = tmp_path / "serve_config.yaml"
    shipped = (ROOT / "serve_config.yaml").read_text(encoding="utf-8")
    config.write_text(shipped.replace("port: 8000", f"port: {port}"))
    # The commands are those of docs/operations.md, which are for port 8265 and the shipped file.
    told = [block.text for block in blocks("sh", document="docs/operations.md")]
    (status,) = [text for text in told if "serve status" in text]
    (token,) = [text for text in told if "ray get-auth-token" in text]
    deploy = "serve deploy serve_config.yaml -a http://127.0.0.1:8265"
    assert deploy in read("docs/operations.md")
    environment = {name: value for name, value in os.environ.items() if name != "RAY_AUTH_MODE"}
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    for command in (f"export RAY_AUTH_MODE=token\n{deploy}", token, status):
        done = subprocess.run(
            ["bash", "-euc", pasted(command, dashboard, config)],
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    assert "status: RUNNING" in done.stdout


def pasted(command: str, dashboard: str, config: Path) -> str:
    """A command of the manual, for this service and with the programs of this environment."""
    command = command.replace("http://127.0.0.1:8265", dashboard).replace(".venv/bin/", "")
    return command.replace("serve_config.yaml", str(config))


def test_it_is_the_wheel_that_runs_with_all_its_files(wheel, launched):
    """The wheel is built of what .dockerignore lets through, as the image's is."""
    there = "import deployments; print(deployments.__file__)"
    module = subprocess.run(
        [sys.executable, "-c", there],
        cwd=launched.folder,
        env={**os.environ, "PYTHONPATH": str(wheel.folder)},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout
    assert module.startswith(str(wheel.folder))
    page = httpx.get(f"{launched.url}/", follow_redirects=True)
    assert page.is_success
    assert "<title>" in page.text


def test_a_port_in_use_is_one_sentence(wheel, tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        process = wheel.start("--port", port, cwd=tmp_path)
        out, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert out.startswith(f"backdrop: port {port} on 127.0.0.1 cannot be used")
    assert out.count("\n") == 1


def test_a_misspelled_key_is_named(wheel, tmp_path):
    config = tmp_path / "config.yaml"
    text = (ROOT / "serve_config.yaml").read_text(encoding="utf-8")
    config.write_text(text.replace("guidance_scale:", "guidence_scale:", 1))
    process = wheel.start("--config", config, cwd=tmp_path)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "applications.0.args.models.0.guidence_scale: unknown key" in out


def test_an_old_python_is_one_sentence(tmp_path):
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    old = tmp_path / "python3.9"
    pretend = "import sys; sys.version_info = (3, 9, 0); exec(sys.argv[1])"
    old.write_text(f"#!/bin/sh\nexec {sys.executable} -c '{pretend}' \"$2\"\n")
    old.chmod(0o755)
    done = subprocess.run(
        ["make", "run", f"PYTHON={old}"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode != 0
    assert "Backdrop needs Python 3.11 or newer" in done.stderr
    assert "3.9" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / ".venv").exists()


def test_a_signal_ends_everything_it_started(launched):
    """Runs last in this module: it ends the service."""
    started = psutil.Process(launched.process.pid).children(recursive=True)
    assert started
    launched.process.send_signal(signal.SIGTERM)
    assert launched.process.wait(timeout=60) == 0
    _, alive = psutil.wait_procs(started, timeout=10)
    assert alive == []
    with pytest.raises(httpx.ConnectError):
        httpx.get(launched.url)
