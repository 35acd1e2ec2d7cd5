"""The training loop that the stages share: schedule, average of weights, progress, checkpoints.

Random numbers of step n come from a generator seeded by (seed, stage, n), so a broken-off run that
goes on from its checkpoint sees the very batches it would have seen.
"""

import math
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from training import muon

Rng: TypeAlias = np.random.Generator


@dataclass(frozen=True)
class Plan:
    """Length and pace of a stage: steps, peak rates, warm-up, averaging, saving.

    `matrix_rate` is the rate of the inner matrices, where a stage has such; see `train`.
    """

    steps: int
    rate: float
    seed: int
    warmup: int = 200
    average: float = 0.999
    save_every_s: float = 120.0
    matrix_rate: float = 2e-3


def fresh(seed: int) -> Rng:
    """A generator whose numbers no step of a stage sees."""
    return np.random.default_rng([seed, zlib.crc32(b"fresh")])


def device() -> torch.device:
    """CUDA when there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def half_precision() -> torch.autocast:
    """Forward passes in bfloat16 where the device computes in it; others imitate it, slowly."""
    return torch.autocast(device().type, torch.bfloat16, enabled=_native_half())


def _native_half() -> bool:
    return device().type != "cpu" or torch.cpu._is_avx512_bf16_supported()


class Optimizer:
    """AdamW, and Muon for matrices (Jordan et al. 2024); a convolution is one of [out, rest].

    Muon needs about two thirds of AdamW's steps here. First and last layers and embeddings are none
    of its matrices.

    Args:
        trained: parameters by name.
        plan: the peak rates.
        matrices: names of those that Muon trains.
    """

    def __init__(self, trained: dict[str, nn.Parameter], plan: Plan, matrices: set[str]) -> None:
        self._flat = []
        for parameter in (p for n, p in trained.items() if n in matrices):
            flat = nn.Parameter(parameter.detach().contiguous().flatten(1))
            parameter.data = flat.data.view(parameter.shape)  # one memory, two shapes
            self._flat.append((parameter, flat))
        others = [p for n, p in trained.items() if n not in matrices]
        self._parts: list[torch.optim.Optimizer] = []
        if others:
            adam = torch.optim.AdamW(others, plan.rate, betas=(0.9, 0.99), weight_decay=0.01)
            self._parts.append(adam)
        if self._flat:
            flat_ones = [flat for _, flat in self._flat]
            self._parts.append(_muon(flat_ones, plan.matrix_rate))
        self._peaks = [[group["lr"] for group in part.param_groups] for part in self._parts]

    def step(self, share: float) -> None:
        """Follow the gradients at a share of the peak rates, and forget them."""
        for parameter, flat in self._flat:
            grad = parameter.grad
            flat.grad = None if grad is None else grad.contiguous().flatten(1)
            parameter.grad = None
        for part, peaks in zip(self._parts, self._peaks, strict=True):
            for group, peak in zip(part.param_groups, peaks, strict=True):
                group["lr"] = peak * share
            part.step()
            part.zero_grad(set_to_none=True)

    def state(self) -> list[dict[str, Any]]:
        """What a checkpoint keeps."""
        return [part.state_dict() for part in self._parts]

    def load(self, state: list[dict[str, Any]]) -> None:
        """Go on from a checkpoint."""
        for part, kept in zip(self._parts, state, strict=True):
            part.load_state_dict(kept)


def _muon(matrices: list[nn.Parameter], rate: float) -> torch.optim.Optimizer:
    if not _native_half():
        return muon.Muon(matrices, rate, weight_decay=0.01)
    return torch.optim.Muon(matrices, rate, weight_decay=0.01, adjust_lr_fn="match_rms_adamw")


def train(
    name: str,
    folder: Path,
    plan: Plan,
    model: nn.Module,
    loss_of: Callable[[Rng, int], torch.Tensor],
    on_save: Callable[[nn.Module, int], None] | None = None,
    matrices: Callable[[str], bool] = lambda _: False,
) -> nn.Module:
    """Train `model` in place and return it with its averaged weights.

    Args:
        name: of the stage; its checkpoint is folder/name.pt, its losses folder/name.log.
        folder: where they go.
        plan: how long and how fast.
        model: every parameter that requires a gradient is trained; buffers are saved, not averaged.
        loss_of: makes the loss of one step from that step's generator and number.
        on_save: called after each checkpoint with the model holding its averaged weights.
        matrices: tells by its name whether a weight of two or more dimensions is an inner matrix.
    """
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint, log = folder / f"{name}.pt", folder / f"{name}.log"
    trained = {n: p for n, p in model.named_parameters() if p.requires_grad}
    average = {n: p.detach().clone() for n, p in trained.items()}
    inner = {n for n, p in trained.items() if p.ndim > 1 and matrices(n)}
    optimizer = Optimizer(trained, plan, inner)
    first = 0
    if checkpoint.exists():
        state = torch.load(checkpoint, map_location=device(), weights_only=True)
        model.load_state_dict(state["model"], strict=False)
        optimizer.load(state["optimizer"])
        average = {n: a.to(trained[n].device) for n, a in state["average"].items()}
        first = state["step"]

    def save(step: int) -> None:
        frozen = {n for n, p in model.named_parameters() if not p.requires_grad}
        kept = {n: t for n, t in model.state_dict().items() if n not in frozen}
        state = {
            "model": kept,
            "optimizer": optimizer.state(),
            "average": average,
            "step": step,
        }
        part = checkpoint.with_suffix(".part")
        torch.save(state, part)
        part.rename(checkpoint)

    def swap() -> None:
        for n, p in trained.items():
            held = p.detach().clone()
            p.data.copy_(average[n])
            average[n].copy_(held)

    saved, recent = time.monotonic(), []
    bar = tqdm(range(first, plan.steps), initial=first, total=plan.steps, desc=name, mininterval=5)
    for step in bar:
        fraction = step / plan.steps
        share = min(1.0, (step + 1) / plan.warmup)
        share *= max(0.02, 0.5 * (1 + math.cos(math.pi * fraction)))
        rng = np.random.default_rng([plan.seed, zlib.crc32(name.encode()), step])
        torch.manual_seed(int(rng.integers(2**31)))
        loss = loss_of(rng, step)
        loss.backward()  # type: ignore[no-untyped-call]  # torch has no type for it
        nn.utils.clip_grad_norm_(trained.values(), 1.0)
        optimizer.step(share)
        decay = min(plan.average, (1 + step) / (10 + step))
        with torch.no_grad():
            torch._foreach_lerp_(
                list(average.values()), [p.data for p in trained.values()], 1 - decay
            )
        recent.append(float(loss.detach()))
        if (step + 1) % 50 == 0:
            bar.set_postfix(loss=f"{np.mean(recent):.4f}")
            with log.open("a") as file:
                file.write(f"{step + 1} {np.mean(recent):.5f} {share:.3f}\n")
            recent.clear()
        if time.monotonic() - saved > plan.save_every_s:
            save(step + 1)
            if on_save is not None:
                swap()
                on_save(model, step + 1)
                swap()
            saved = time.monotonic()
    if first < plan.steps:
        save(plan.steps)
    swap()
    if on_save is not None:
        on_save(model, plan.steps)
    return model
