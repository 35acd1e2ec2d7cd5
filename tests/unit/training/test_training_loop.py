"""The training loop: two optimizers for one model, and going on where a run was broken off."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from training import loop, muon
from training.loop import Rng


def _model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.SiLU(), nn.Conv2d(8, 4, 3))


def _run(folder: Path, steps: int, model: nn.Module) -> nn.Module:
    def loss_of(rng: Rng, _: int) -> torch.Tensor:
        x = torch.from_numpy(rng.random((2, 3, 8, 8), np.float32))
        return (model(x) - x.mean()).square().mean()

    plan = loop.Plan(steps, 1e-3, 0, warmup=1, average=0.0, save_every_s=1e9)
    return loop.train("stage", folder, plan, model, loss_of, None, lambda n: n == "2.weight")


@pytest.mark.parametrize("name", ["0.weight", "0.bias", "2.weight", "2.bias"])
def test_every_parameter_is_trained(tmp_path: Path, name: str) -> None:
    before = dict(_model().named_parameters())[name].clone()
    after = dict(_run(tmp_path, 3, _model()).named_parameters())[name]
    assert after.shape == before.shape
    assert not torch.equal(after, before)


def test_a_matrix_moves_alike_in_all_directions(tmp_path: Path) -> None:
    """Muon's steps have nearly equal singular values; AdamW's and plain gradients' have not."""
    before, after = _model(), _run(tmp_path, 1, _model())
    steps = {
        name: torch.linalg.svdvals((new - old).detach().flatten(1))
        for (name, old), (_, new) in zip(
            before.named_parameters(), after.named_parameters(), strict=True
        )
        if old.ndim == 4
    }
    assert float(steps["2.weight"][-1] / steps["2.weight"][0]) > 0.4
    assert float(steps["0.weight"][-1] / steps["0.weight"][0]) < 0.3


def test_a_run_that_goes_on_ends_as_one_that_was_never_broken_off(tmp_path: Path) -> None:
    whole = loop.Plan(6, 1e-3, 0, warmup=1, average=0.0, save_every_s=0.0)
    stopped: list[int] = []

    def run(folder: Path, stop: int | None) -> nn.Module:
        model = _model()

        def loss_of(rng: Rng, step: int) -> torch.Tensor:
            if step == stop:
                stopped.append(step)
                raise KeyboardInterrupt
            x = torch.from_numpy(rng.random((2, 3, 8, 8), np.float32))
            return (model(x) - x.mean()).square().mean()

        return loop.train("stage", folder, whole, model, loss_of, None, lambda n: n == "2.weight")

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "a", stop=3)
    assert stopped == [3]
    gone_on, never = run(tmp_path / "a", None), run(tmp_path / "b", None)
    for left, right in zip(gone_on.parameters(), never.parameters(), strict=True):
        torch.testing.assert_close(left, right)


@pytest.mark.parametrize("shape", [(6, 20), (20, 6)])
def test_muon_in_single_precision_takes_the_steps_of_torchs(shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    first = torch.randn(shape)
    ours, torchs = nn.Parameter(first.clone()), nn.Parameter(first.clone())
    pair = (
        (ours, muon.Muon([ours], 0.01, weight_decay=0.1)),
        (torchs, torch.optim.Muon([torchs], 0.01, 0.1, adjust_lr_fn="match_rms_adamw")),
    )
    for _ in range(4):
        gradient = torch.randn(shape)
        for matrix, optimizer in pair:
            matrix.grad = gradient.clone()
            optimizer.step()
    moved = (torchs.detach() - first).abs().max()
    assert (ours.detach() - torchs.detach()).abs().max() < 0.05 * moved
