"""Weights by name: the demo, folders, the Hub and its cache."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
from weights_cases import refusal, settings

from deployments.diffusion.families.registry import load_components
from deployments.diffusion.weights import loading, sources
from deployments.settings import LoraSettings

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def test_the_demo_weights_are_named_by_their_content(
    saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "DEMO_WEIGHTS", saved / "cup-model")
    monkeypatch.setattr(loading, "DEMO_CONTROLNET", saved / "cup-control")
    origin = load_components(settings("demo", "demo")).origin
    weights, _, control = origin.partition(" with ControlNet ")
    assert weights.startswith("demo@")
    assert control.startswith("demo@")
    assert weights != control
    assert len(weights) == len(control) == len("demo@") + 12


def test_missing_demo_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "DEMO_WEIGHTS", tmp_path / "weights")
    assert refusal("demo") == (
        "weights: the bundled demo (weights) is missing from this installation"
    )


@pytest.mark.parametrize("name", ["./nowhere", "/nowhere/at/all", "~/nowhere-at-all"])
def test_a_missing_folder(name: str) -> None:
    assert refusal(name) == f"weights: the folder {name} does not exist"


@pytest.mark.parametrize("name", ["nowhere", "a/b/c", "owner/", "owner/na me"])
def test_a_name_of_nothing(name: str) -> None:
    assert refusal(name) == (
        f"weights: {name!r} is neither 'demo', nor a folder that exists, "
        "nor a Hub id like owner/name"
    )


def test_a_hub_id_without_revision() -> None:
    assert refusal("owner/name") == (
        "weights: owner/name on the Hub needs a revision in the configuration, best a commit"
    )


def test_an_unreachable_hub(tmp_path: Path) -> None:
    code = (
        "from deployments.settings import ModelSettings\n"
        "from deployments.diffusion.families.registry import load_components\n"
        "load_components(ModelSettings(id='m', name='M', weights='owner/name', revision='v1'))"
    )
    environment = os.environ | {
        "HF_ENDPOINT": "http://127.0.0.1:1",
        "HF_HOME": str(tmp_path),
        "PYTHONPATH": os.getcwd(),
    }
    environment.pop("HF_HUB_OFFLINE", None)
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "deployments.diffusion.weights.sources.WeightsError: "
        "weights: owner/name at revision v1 is not in the local cache, "
        "and the Hub cannot be reached"
    )


@pytest.fixture
def hub_cache(saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Hub cache that holds cups/model at tag v1, with the Hub switched off."""
    repository = tmp_path / "hub" / "models--cups--model"
    shutil.copytree(saved / "cup-model", repository / "snapshots" / COMMIT)
    (repository / "refs").mkdir()
    (repository / "refs" / "v1").write_text(COMMIT)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)


@pytest.mark.usefixtures("hub_cache")
@pytest.mark.parametrize("revision", ["v1", COMMIT])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_a_cached_hub_id_loads_offline(revision: str, dtype: str) -> None:
    parts = load_components(settings("cups/model", revision=revision, dtype=dtype))
    assert parts.origin == f"cups/model@{COMMIT}"


@pytest.mark.usefixtures("hub_cache")
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_a_file_of_a_cached_hub_id(dtype: str) -> None:
    lora = LoraSettings(weights="cups/model", revision="v1", file="unet/lora.safetensors")
    # It is found, and refused for what it is.
    assert refusal("cups/model", revision="v1", dtype=dtype, loras=(lora,)) == (
        "loras: cups/model has no unet/lora.safetensors"
    )
    lora = lora.model_copy(update={"revision": "v2"})
    assert refusal("cups/model", revision="v1", loras=(lora,)) == (
        "loras: cups/model at revision v2 is not in the local cache, and the Hub cannot be reached"
    )


@pytest.mark.usefixtures("hub_cache")
def test_a_revision_that_is_not_cached() -> None:
    assert refusal("cups/model", revision="v2") == (
        "weights: cups/model at revision v2 is not in the local cache, "
        "and the Hub cannot be reached"
    )


def _hub_error(name: str, status: int) -> Exception:
    import httpx

    response = httpx.Response(status, request=httpx.Request("GET", "https://hub.invalid"))
    error: Exception = getattr(huggingface_hub.errors, name)("no", response=response)
    return error


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (
            _hub_error("GatedRepoError", 403),
            "weights: owner/name on the Hub is gated: "
            "set HF_TOKEN to a token that was granted access",
        ),
        (
            _hub_error("RepositoryNotFoundError", 401),
            "weights: the Hub has no owner/name, or it is private and HF_TOKEN does not open it",
        ),
        (
            _hub_error("RevisionNotFoundError", 404),
            "weights: owner/name on the Hub has no revision v1",
        ),
        (
            _hub_error("HfHubHTTPError", 503),
            "weights: owner/name at revision v1 cannot be downloaded: the Hub answers 503",
        ),
        (
            OSError(28, "No space left on device"),
            "weights: owner/name at revision v1 cannot be downloaded: No space left on device",
        ),
    ],
)
def test_what_the_hub_answers(
    monkeypatch: pytest.MonkeyPatch, error: Exception, sentence: str
) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise error

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fail)
    assert refusal("owner/name", revision="v1") == sentence


def test_only_the_files_that_are_needed_are_downloaded(
    weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[str]] = []

    def download(name: str, revision: str, allow_patterns: list[str]) -> str:
        assert (name, revision) == ("owner/name", "v1")
        asked.append(allow_patterns)
        return str(weights)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    load_components(settings("owner/name", revision="v1"))
    [patterns] = asked
    assert "unet/diffusion_pytorch_model.safetensors" in patterns
    assert not any("fp16" in pattern or pattern.endswith(".bin") for pattern in patterns)

    asked.clear()
    vae = weights / "vae"
    shutil.copy(
        vae / "diffusion_pytorch_model.safetensors",
        vae / "diffusion_pytorch_model.fp16.safetensors",
    )
    load_components(settings("owner/name", revision="v1", dtype="float16"))
    variants, plain = asked
    assert "unet/diffusion_pytorch_model.fp16.safetensors" in variants
    assert "unet/diffusion_pytorch_model.safetensors" in plain
    assert "vae/diffusion_pytorch_model.safetensors" not in plain


def test_only_the_adapter_s_file_is_downloaded(
    weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[str]] = []

    def download(name: str, revision: str, allow_patterns: list[str]) -> str:
        asked.append(allow_patterns)
        return str(weights)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    lora = LoraSettings(weights="owner/name", revision="v1", file="[a]/b.safetensors")
    refusal(weights, dtype="float16", loras=(lora,))
    assert asked == [["[[]a]/b.safetensors"]]


def test_the_own_autoencoder_is_not_downloaded_beside_another(
    weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[str]] = []

    def download(name: str, revision: str, allow_patterns: list[str]) -> str:
        asked.append(allow_patterns)
        return str(weights)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    load_components(settings("owner/name", revision="v1", vae=str(weights / "vae")))
    [patterns] = asked
    assert not any(pattern.startswith("vae") for pattern in patterns)


def test_a_hub_id_that_is_also_a_folder_is_the_folder(
    weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(weights.parent)
    found = sources.find_source("weights", "cup-model", None, weights, [], [], False)
    assert found.origin == "cup-model"
