"""Everything that the documents tell people to paste, run against a real service."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.documents import ROOT, Block, blocks
from tests.serve.conftest import Cluster

SERVICE = "http://127.0.0.1:8000"
RUNNERS = {
    "sh": ["bash", "-euo", "pipefail", "-c"],
    "python": [sys.executable, "-c"],
    "js": ["node", "--input-type=module", "-e"],
}
ELSEWHERE = ("make ", "serve ", "ray get-auth-token", "pre-commit ", "pip ", "docker ")
"""Commands of shell blocks that other tests try, or that install something."""


SEEN = (
    "/generated/", "/cutouts/", "/api/jobs/",
    "backdrop-images/", "coffee.png: ", "Stable Diffusion", '"state":',
)  # fmt: skip
"""What a call that went well prints one of: an image, a job, or the list of the models."""


def calls(block: Block) -> bool:
    """Whether a block talks to a running service."""
    return SERVICE in block.text and not any(word in block.text for word in ELSEWHERE)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder that looks like the checkout, so that what a block writes is not written there."""
    for path in ROOT.iterdir():
        if path.name != ".venv":
            (tmp_path / path.name).symlink_to(path)
    (tmp_path / ".venv").symlink_to(sys.prefix)
    return tmp_path


@pytest.mark.parametrize(
    "block", [pytest.param(block, id=block.name) for block in blocks(*RUNNERS) if calls(block)]
)
def test_what_calls_the_service_works_as_pasted(
    cluster: Cluster, checkout: Path, block: Block
) -> None:
    if "node examples/" in block.text and not runs_typescript():
        pytest.skip("this Node.js runs no TypeScript; test_examples.py compiles it")
    done = run(block, block.text.replace(SERVICE, cluster.url), checkout)
    assert done.returncode == 0, done.stderr
    assert '"error"' not in done.stdout
    assert any(word in done.stdout for word in SEEN)


@pytest.mark.parametrize(
    "block",
    [
        pytest.param(block, id=block.name)
        for block in blocks("sh")
        if not calls(block) and not any(word in block.text for word in ELSEWHERE)
    ],
)
def test_what_needs_no_service_works_as_pasted(checkout: Path, block: Block) -> None:
    done = run(block, block.text, checkout)
    assert done.returncode == 0, done.stderr
    assert done.stdout


def runs_typescript() -> bool:
    """Whether this machine's Node.js runs TypeScript as it is."""
    if shutil.which("node") is None:
        return False
    told = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True)
    major, minor = told.stdout.removeprefix("v").split(".")[:2]
    return (int(major), int(minor)) >= (22, 18)


def run(block: Block, text: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a block in a folder, in an environment that has nothing of ours set."""
    command = RUNNERS[block.language]
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    ours = ("IMAGE_URL", "BACKDROP_URL", "BACKDROP_KEY", "PYTHONPATH")
    environment = {name: value for name, value in os.environ.items() if name not in ours}
    return subprocess.run(
        [*command, text],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,  # generous, so that no busy machine meets it
    )
