"""`python -m deployments.prefetch` with a Hub cache as the client lays it out, and no Hub."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

import yaml

from tests.tiny_flux2 import save_tiny_flux2
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


def write_config(folder: Path, revision: str = COMMIT, finder: dict | None = None) -> Path:
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
            "args": {"models": models, "studio": {"finder": finder or {}}},
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


def test_a_finder_on_the_hub_is_fetched_too(tmp_path: Path) -> None:
    fill_cache(tmp_path)
    model = b"not loaded"
    chosen = {"network": "birefnet", "weights": "owner/finder", "revision": "v2"}
    chosen["sha256"] = hashlib.sha256(model).hexdigest()
    config = write_config(tmp_path, finder=chosen)
    waiting = prefetch(tmp_path, config, "--wait", "0")
    _, said = waiting.communicate(timeout=120)
    assert "weights: those of real, demo, the finder are not complete" in said

    _, said = prefetch(tmp_path, config).communicate(timeout=120)
    assert said.splitlines()[-1] == (
        "deployments.prefetch: finder.weights: owner/finder at revision v2 is not in the local "
        "cache, and the Hub cannot be reached"
    )
    repository = tmp_path / "hub" / "models--owner--finder"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "v2").write_text(COMMIT)
    file = repository / "snapshots" / COMMIT / "onnx" / "model.onnx"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"damaged")
    _, said = prefetch(tmp_path, config).communicate(timeout=120)
    assert "deployments.prefetch: finder.sha256: " in said

    file.write_bytes(model)
    run = prefetch(tmp_path, config)
    _, said = run.communicate(timeout=120)
    assert run.returncode == 0, said
    assert "finder: onnx/model.onnx of owner/finder is here" in said
    waiting = prefetch(tmp_path, config, "--wait", "0")
    waiting.communicate(timeout=120)
    assert waiting.returncode == 0


def test_an_editing_model_is_fetched_too(tmp_path: Path) -> None:
    file = tmp_path / "serve_config.yaml"
    klein = {"id": "klein", "name": "Klein", "family": "flux2", "weights": "owner/klein"}
    application = {
        "name": "backdrop",
        "import_path": "deployments.app:build",
        "args": {"models": [{**klein, "revision": COMMIT}]},
    }
    file.write_text(yaml.safe_dump({"applications": [application]}))
    _, said = prefetch(tmp_path, file).communicate(timeout=120)
    assert f"owner/klein at revision {COMMIT}" in said
    save_tiny_flux2(tmp_path / "hub" / "models--owner--klein" / "snapshots" / COMMIT)
    run = prefetch(tmp_path, file)
    _, said = run.communicate(timeout=120)
    assert run.returncode == 0, said
    assert f"model klein: owner/klein@{COMMIT} is here" in said


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
