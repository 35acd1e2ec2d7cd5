"""The engine's threads, and finding every tensor of a state that is handed on."""

from __future__ import annotations

import gc
import threading
from contextlib import nullcontext
from typing import Any

import pytest
import torch
from stepped import PATIENCE_S, a_job, a_photo

from deployments.diffusion.compute.networks import TorchNetworks
from deployments.diffusion.engine.threads import Stage, Streams, tensors_in
from deployments.diffusion.families.sd.control_maps import canny
from deployments.diffusion.families.sd.model import StableDiffusion
from tests.tiny_models import prompts_of


def reachable(value: object) -> set[int]:
    """The tensors that the garbage collector finds from a value, modules and classes apart."""
    seen: dict[int, object] = {}
    left = [value]
    while left:
        one = left.pop()
        if id(one) in seen or isinstance(one, (type, torch.nn.Module)) or callable(one):
            continue
        if type(one).__module__ in {"builtins", "torch"} or "diffus" in type(one).__module__:
            seen[id(one)] = one
            left.extend(gc.get_referents(one))
    return {id(one) for one in seen.values() if isinstance(one, torch.Tensor)}


@pytest.mark.parametrize("tables", [False, True])
@pytest.mark.parametrize("scheduler", ["ddim", "euler_a", "unipc"])
def test_every_tensor_of_a_prepared_job_is_found(
    components: Any, scheduler: Any, tables: bool
) -> None:
    parts = components(controlnet=True)
    networks = TorchNetworks(parts.unet, parts.controlnet)
    model = StableDiffusion(prompts_of(parts), networks, scheduler, canny, tables)
    state = model.prepare(a_job(), a_photo())
    (prediction,) = model.predict([state])
    model.advance(state, prediction)
    found = [id(tensor) for tensor in tensors_in(state)]
    assert len(found) == len(set(found))
    assert id(state.latents) in found
    assert reachable(state) <= set(found)
    assert len(found) >= 4


def test_tensors_are_found_in_everything_that_holds_them() -> None:
    class Plain:
        def __init__(self, held: object) -> None:
            self.held = held
            self.itself = self

    tensors = [torch.zeros(1) for _ in range(4)]
    value = Plain({"a": [tensors[0], (tensors[1],)], "b": Plain(tensors[2]), "c": tensors[3]})
    assert {id(one) for one in tensors_in(value)} == {id(one) for one in tensors}


def test_streams_do_nothing_on_a_cpu() -> None:
    streams = Streams(torch.device("cpu"))
    assert streams.mark() is None
    streams.wait(None)
    streams.follow(None)
    streams.hand_to_stepping(torch.zeros(1))


@pytest.mark.parametrize("error", [RuntimeError, SystemExit])
def test_a_stage_that_raises_says_so_and_ends(caplog: Any, error: Any) -> None:
    died = threading.Event()

    def work() -> bool:
        raise error

    stage = Stage("stepping", work, died.set, nullcontext())
    stage.start()
    assert died.wait(PATIENCE_S)
    stage.join(PATIENCE_S)
    assert not stage.alive
    assert "the engine's stepping thread died" in caplog.messages
