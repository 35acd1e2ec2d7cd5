from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import pytest
import torch

from deployments.diffusion.engine import Engine
from tests.tiny_models import tiny_components


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Tiny tensors are slower on many threads."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def components() -> Callable[..., Any]:
    """Tiny components by their settings, built once each."""
    return cache(tiny_components)


@pytest.fixture
def start_engine() -> Iterator[Callable[..., Engine]]:
    """Starts engines, and stops them after the test."""
    started: list[tuple[Engine, Any]] = []

    def start(model: Any, max_rows: int = 16, max_waiting: int = 16) -> Engine:
        engine = Engine(model, max_rows, max_waiting)
        started.append((engine, model))
        return engine

    yield start
    for engine, model in started:
        if hasattr(model, "allow"):
            model.allow(1000)
        engine.close(drain_s=0)
