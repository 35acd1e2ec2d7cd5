from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from gated import Recorder

from deployments.diffusion.engine.step_engine import Engine
from tests.tiny_models import save_tiny_controlnet, save_tiny_weights, tiny_components


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Tiny tensors are slower on many threads."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def components() -> Callable[..., Any]:
    """Tiny components by their settings, built once each."""
    return cache(tiny_components)


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `cup-model` and `cup-control`, not to be changed."""
    folder = tmp_path_factory.mktemp("saved")
    save_tiny_weights(folder / "cup-model")
    save_tiny_controlnet(folder / "cup-control")
    return folder


@pytest.fixture
def weights(saved: Path, tmp_path: Path) -> Path:
    """A copy that a test may break."""
    return Path(shutil.copytree(saved / "cup-model", tmp_path / "cup-model"))


@pytest.fixture
def control(saved: Path, tmp_path: Path) -> Path:
    """A copy that a test may break."""
    return Path(shutil.copytree(saved / "cup-control", tmp_path / "cup-control"))


@pytest.fixture
def start_engine() -> Iterator[Callable[..., Engine]]:
    """Starts engines, and stops them after the test."""
    started: list[tuple[Engine, Any]] = []

    def start(
        model: Any, max_rows: int = 16, max_waiting: int = 16, observer: Any = None
    ) -> Engine:
        clock = getattr(model, "clock", time.monotonic)
        observer = observer or Recorder()
        engine = Engine(model, lambda height, width: max_rows, max_waiting, observer, clock=clock)
        started.append((engine, model))
        return engine

    yield start
    for engine, model in started:
        if hasattr(model, "allow"):
            model.allow(1000)
        engine.close(drain_s=0)
