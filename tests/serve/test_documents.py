"""Everything that the documents tell people to paste, run against a real service."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

from tests.documents import ROOT, Block, blocks
from tests.serve.conftest import Cluster

SERVICE = "http://127.0.0.1:8000"
RUNNERS = {
    "sh": ["bash", "-euo", "pipefail", "-c"],
    "python": [sys.executable, "-c"],
    "js": ["node", "--input-type=module", "-e"],
}
ELSEWHERE = ("make ", "serve ", "ray get-auth-token", "pre-commit ")
"""Commands of shell blocks that other tests try, or that change the checkout."""


def calls(block: Block) -> bool:
    """Whether a block talks to a running service."""
    return SERVICE in block.text and not any(word in block.text for word in ELSEWHERE)


@pytest.mark.parametrize(
    "block", [pytest.param(block, id=block.name) for block in blocks(*RUNNERS) if calls(block)]
)
def test_what_calls_the_service_works_as_pasted(cluster: Cluster, block: Block) -> None:
    done = run(block, block.text.replace(SERVICE, cluster.url))
    assert done.returncode == 0, done.stderr
    assert '"error"' not in done.stdout
    assert "/generated/" in done.stdout or "Stable Diffusion" in done.stdout


@pytest.mark.parametrize(
    "block",
    [
        pytest.param(block, id=block.name)
        for block in blocks("sh")
        if not calls(block) and not any(word in block.text for word in ELSEWHERE)
    ],
)
def test_what_needs_no_service_works_as_pasted(block: Block) -> None:
    done = run(block, block.text)
    assert done.returncode == 0, done.stderr
    assert done.stdout


def run(block: Block, text: str) -> subprocess.CompletedProcess[str]:
    """Run a block from the root, in an environment that has nothing of ours set."""
    command = RUNNERS[block.language]
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    environment = {name: value for name, value in os.environ.items() if name != "IMAGE_URL"}
    return subprocess.run(
        [*command, text],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
