"""What the Dockerfile does, as far as it can be done without a container.

The wheel is built from what .dockerignore lets through and installed into an environment of its
own, with the tests' packages in reach but not their editable Backdrop: installing all of them anew
takes minutes.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
import tomllib
from pathlib import Path

import httpx
import pytest
import yaml

from tests.k8s.manifests import K8S, Document, pods, ray_service
from tests.k8s.ray_nodes import kill_all
from tests.serve.conftest import free_port

ROOT = K8S.parent
START_TIMEOUT_S = 300


def test_the_dockerfile_is_clean() -> None:
    hadolint = Path(sysconfig.get_path("scripts")) / "hadolint"
    done = subprocess.run(
        [hadolint, K8S / "Dockerfile"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout


def test_the_requirements_of_the_image_are_those_of_the_package() -> None:
    """The command of the Dockerfile that writes them, with and without an extra."""
    command = re.search(r'python -c "(import tomllib;.*)" >', (K8S / "Dockerfile").read_text())[1]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = project["dependencies"]
    for extras in ("", "safety"):
        wanted = wanted + project["optional-dependencies"].get(extras, [])
        filled = command.replace("${EXTRAS}", extras)
        done = subprocess.run(
            [sys.executable, "-c", filled], cwd=ROOT, capture_output=True, text=True, check=True
        )
        assert done.stdout.splitlines() == wanted


def test_the_base_has_the_ray_that_is_installed(rendered: dict[str, list[Document]]) -> None:
    constraints = (ROOT / "constraints.txt").read_text().splitlines()
    (ray,) = [line for line in constraints if line.startswith("ray==")]
    version = ray.removeprefix("ray==")
    dockerfile = (K8S / "Dockerfile").read_text()
    assert f"ARG RAY_TAG={version}-py311-cpu" in dockerfile
    assert f"ray.__version__ == '{version}'" in dockerfile
    for documents in rendered.values():
        assert ray_service(documents)["spec"]["rayClusterConfig"]["rayVersion"] == version
    # The user that the pods run as is the image's.
    assert "USER 1000:100" in dockerfile
    context = next(
        pod for pod in pods(rendered["demo"]) if pod.labels.get("ray.io/group") == "cpu"
    ).spec["securityContext"]
    assert (context["runAsUser"], context["runAsGroup"]) == (1000, 100)


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel."""
    folder = tmp_path_factory.mktemp("image")
    source = folder / "source"
    source.mkdir()
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        if line.startswith("!"):
            there = ROOT / line[1:]
            if there.is_dir():
                caches = shutil.ignore_patterns("__pycache__")
                shutil.copytree(there, source / there.name, ignore=caches)
            else:
                shutil.copy(there, source)
    # The environment need not have a pip of its own, only the Python it was made with.
    pip = [sys._base_executable, "-m", "pip", "--disable-pip-version-check"]
    built = ["wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, source]
    subprocess.run([*pip, "--python", sys.executable, *built], check=True, timeout=300)
    (wheel,) = folder.glob("backdrop-*.whl")

    environment = folder / "environment"
    subprocess.run(
        [sys.executable, "-m", "venv", "--without-pip", environment], check=True, timeout=60
    )
    python = environment / "bin" / "python"
    # A line of a .pth file only goes on the path: .pth files there, the editable one, are not read.
    (site,) = environment.glob("lib/*/site-packages")
    (site / "tests.pth").write_text(sysconfig.get_path("purelib"))
    installed = ["install", "--quiet", "--no-deps", "--force-reinstall", wheel]
    subprocess.run([*pip, "--python", python, *installed], check=True, timeout=300)
    return environment


def test_the_wheel_makes_images_from_any_folder(environment: Path) -> None:
    # Ray's sockets lie in folders of it, and have short names only.
    with tempfile.TemporaryDirectory(prefix="image-") as name:
        folder = Path(name)
        config = yaml.safe_load((ROOT / "serve_config.yaml").read_text())
        application = config["applications"][0]
        application["args"]["models"] = [
            {**application["args"]["models"][0], "steps": 2, "backend": "torch"}
        ]
        application["deployments"] = [
            deployment
            for deployment in application["deployments"]
            if deployment["name"] != "controlnet"
        ]
        (folder / "serve_config.yaml").write_text(yaml.safe_dump(config))
        port = free_port()
        variables = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        log = folder / "log"
        with log.open("wb") as sink:
            service = subprocess.Popen(
                [environment / "bin" / "backdrop", "--port", str(port)],
                cwd=folder,
                env=variables,
                stdout=sink,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            deadline = time.monotonic() + START_TIMEOUT_S
            while "backdrop: up on" not in log.read_text():
                assert service.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.3)
            assert len(list((folder / "data" / "generated").glob("*.png"))) == 4
            assert httpx.get(f"http://127.0.0.1:{port}/", follow_redirects=True).is_success
            # It is the wheel that runs, not the source.
            module = subprocess.run(
                [
                    environment / "bin" / "python",
                    "-c",
                    "import deployments; print(deployments.__file__)",
                ],
                cwd=folder,
                env=variables,
                capture_output=True,
                text=True,
                check=True,
                timeout=60,
            ).stdout
            assert module.startswith(str(environment))
        finally:
            service.terminate()
            try:
                service.wait(60)
            finally:
                kill_all([service.pid])
