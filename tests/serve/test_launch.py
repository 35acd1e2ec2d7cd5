"""`make run`'s program with the shipped configuration."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import httpx
import psutil
import pytest
from PIL import Image

from tests.documents import blocks, read
from tests.serve.conftest import free_port

ROOT = Path(__file__).parents[2]


@dataclass
class Launched:
    """A running launcher after it made its sample."""

    process: subprocess.Popen[str]
    url: str
    folder: Path
    printed: list[str]

    @property
    def images(self) -> list[str]:
        return [line.strip() for line in self.printed if line.startswith("  http")]


@pytest.fixture(scope="module")
def launched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launched]:
    folder = tmp_path_factory.mktemp("a folder with spaces")
    port = free_port()
    process = launch("--config", ROOT / "serve_config.yaml", "--port", port, cwd=folder)
    try:
        printed = []
        for line in process.stdout:
            printed.append(line.rstrip("\n"))
            if line.startswith("backdrop: up on"):
                break
        yield Launched(process, f"http://127.0.0.1:{port}", folder, printed)
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)


def launch(*arguments: object, cwd: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "deployments.launch", *map(str, arguments)]
    return subprocess.Popen(
        command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def test_it_prints_four_images_that_can_be_fetched(launched):
    assert len(launched.images) == 4, "\n".join(launched.printed)
    assert len(set(launched.images)) == 4
    for url in launched.images:
        image = Image.open(BytesIO(httpx.get(url).content))
        assert image.width > image.height  # as the sample photo
    folder = launched.folder / "data" / "generated"
    assert any(str(folder) in line for line in launched.printed)
    assert len(list(folder.glob("*.png"))) >= 4


def test_serve_deploy_takes_the_configuration(launched, tmp_path):
    """`serve deploy` to the running cluster, and `serve status`, as docs/operations.md says."""
    text = " ".join(launched.printed)
    dashboard = re.search(r"dashboard at \S*?(http://127\.0\.0\.1:\d+)", text)[1]
    port = launched.url.rsplit(":", 1)[1]
    config = tmp_path / "serve_config.yaml"
    shipped = (ROOT / "serve_config.yaml").read_text(encoding="utf-8")
    config.write_text(shipped.replace("port: 8000", f"port: {port}"))
    # The commands are those of docs/operations.md, which are for port 8265 and the shipped file.
    status, token = (block.text for block in blocks("sh", document="docs/operations.md")[:2])
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


def test_a_port_in_use_is_one_sentence(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        process = launch("--config", ROOT / "serve_config.yaml", "--port", port, cwd=tmp_path)
        out, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert out.startswith(f"backdrop: port {port} on 127.0.0.1 cannot be used")
    assert out.count("\n") == 1


def test_a_misspelled_key_is_named(tmp_path):
    config = tmp_path / "config.yaml"
    text = (ROOT / "serve_config.yaml").read_text(encoding="utf-8")
    config.write_text(text.replace("guidance_scale:", "guidence_scale:", 1))
    process = launch("--config", config, cwd=tmp_path)
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
