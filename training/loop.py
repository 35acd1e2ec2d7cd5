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

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from training.canvas import Rng


@dataclass(frozen=True)
class Plan:
    """Length and pace of a stage: steps, peak rate, warm-up, averaging, saving."""

    steps: int
    rate: float
    seed: int
    warmup: int = 200
    average: float = 0.999
    save_every_s: float = 120.0


def device() -> torch.device:
    """CUDA when there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def half_precision() -> torch.autocast:
    """Forward passes in bfloat16 where the device computes in it; others imitate it, slowly."""
    kind = device().type
    native = kind != "cpu" or torch.cpu._is_avx512_bf16_supported()
    return torch.autocast(kind, torch.bfloat16, enabled=native)


def train(
    name: str,
    folder: Path,
    plan: Plan,
    model: nn.Module,
    loss_of: Callable[[Rng, int], torch.Tensor],
    on_save: Callable[[nn.Module, int], None] | None = None,
) -> nn.Module:
    """Train `model` in place and return it with its averaged weights.

    Args:
        name: of the stage; its checkpoint is folder/name.pt, its losses folder/name.log.
        folder: where they go.
        plan: how long and how fast.
        model: every parameter that requires a gradient is trained; buffers are saved, not averaged.
        loss_of: makes the loss of one step from that step's generator and number.
        on_save: called after each checkpoint with the model holding its averaged weights.
    """
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint, log = folder / f"{name}.pt", folder / f"{name}.log"
    trained = {n: p for n, p in model.named_parameters() if p.requires_grad}
    average = {n: p.detach().clone() for n, p in trained.items()}
    optimizer = torch.optim.AdamW(trained.values(), plan.rate, betas=(0.9, 0.99), weight_decay=0.01)
    first = 0
    if checkpoint.exists():
        state = torch.load(checkpoint, map_location=device(), weights_only=True)
        model.load_state_dict(state["model"], strict=False)
        optimizer.load_state_dict(state["optimizer"])
        average = {n: a.to(trained[n].device) for n, a in state["average"].items()}
        first = state["step"]

    def save(step: int) -> None:
        frozen = {n for n, p in model.named_parameters() if not p.requires_grad}
        kept = {n: t for n, t in model.state_dict().items() if n not in frozen}
        state = {
            "model": kept,
            "optimizer": optimizer.state_dict(),
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
        rate = (
            plan.rate
            * min(1.0, (step + 1) / plan.warmup)
            * max(0.02, 0.5 * (1 + math.cos(math.pi * fraction)))
        )
        for group in optimizer.param_groups:
            group["lr"] = rate
        rng = np.random.default_rng([plan.seed, zlib.crc32(name.encode()), step])
        torch.manual_seed(int(rng.integers(2**31)))
        loss = loss_of(rng, step)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]  # torch has no type for it
        nn.utils.clip_grad_norm_(trained.values(), 1.0)
        optimizer.step()
        decay = min(plan.average, (1 + step) / (10 + step))
        with torch.no_grad():
            torch._foreach_lerp_(
                list(average.values()), [p.data for p in trained.values()], 1 - decay
            )
        recent.append(float(loss.detach()))
        if (step + 1) % 50 == 0:
            bar.set_postfix(loss=f"{np.mean(recent):.4f}")
            with log.open("a") as file:
                file.write(f"{step + 1} {np.mean(recent):.5f} {rate:.2e}\n")
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
