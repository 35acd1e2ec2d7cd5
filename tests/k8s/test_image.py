"""What the Dockerfile does, as far as it can be done without a container."""

from __future__ import annotations

import re
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path

from tests.k8s.manifests import K8S, Document, pods, ray_service

ROOT = K8S.parent


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
