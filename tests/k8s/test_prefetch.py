"""`python -m deployments.prefetch` with a Hub cache as the client lays it out, and no Hub."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import yaml

from tests.tiny_models import save_tiny_controlnet, save_tiny_weights

ROOT = Path(__file__).parents[2]
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def prefetch(home: Path, config: Path, *options: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "HF_HOME": str(home), "HF_HUB_OFFLINE": "1"}
    environment.pop("HF_HUB_CACHE", None)
    return subprocess.Popen(
        [sys.executable, "-m", "deployments.prefetch", str(config), *options],
        env=environment,
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
    )


def write_config(folder: Path, revision: str = COMMIT) -> Path:
    hub = {
        "weights": "owner/model",
        "revision": revision,
        "controlnet": "owner/controlnet",
        "controlnet_revision": "main",
    }
    models = [
        {"id": "real", "name": "Real", **hub, "device": "cuda"},
        {"id": "demo", "name": "Demo"},
    ]
    applications = [
        {
            "name": "backdrop",
            "import_path": "deployments.app:build",
            "args": {"models": models},
        }
    ]
    file = folder / "serve_config.yaml"
    file.write_text(yaml.safe_dump({"applications": applications}))
    return file


def fill_cache(home: Path) -> None:
    for name, save in (("model", save_tiny_weights), ("controlnet", save_tiny_controlnet)):
        repository = home / "hub" / f"models--owner--{name}"
        save(repository / "snapshots" / COMMIT)
        (repository / "refs").mkdir()
        (repository / "refs" / "main").write_text(COMMIT)


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    run = prefetch(tmp_path, write_config(tmp_path))
    _, said = run.communicate(timeout=120)
    assert run.returncode == 1
    assert "owner/model at revision " + COMMIT in said
    assert "Traceback" not in said


def test_a_replica_waits_until_the_weights_are_complete(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    waiting = prefetch(tmp_path, config, "--wait", "120")
    assert waiting.stderr is not None
    assert "weights: those of real, demo are not complete" in waiting.stderr.readline()

    fill_cache(tmp_path)
    time.sleep(3)
    assert waiting.poll() is None, "files that are there prove nothing: some may still be to come"
    run = prefetch(tmp_path, config)
    _, said = run.communicate(timeout=120)
    assert run.returncode == 0, said
    assert f"model real: owner/model@{COMMIT} is here" in said
    assert f"model real: owner/controlnet@{COMMIT} is here" in said
    assert "model demo: demo@" in said
    waiting.communicate(timeout=30)
    assert waiting.returncode == 0

    other = prefetch(tmp_path, write_config(tmp_path, "main"), "--wait", "0")
    _, said = other.communicate(timeout=120)
    assert other.returncode == 1, "another revision is another download"
    assert "no prefetch of this configuration has finished there" in said
