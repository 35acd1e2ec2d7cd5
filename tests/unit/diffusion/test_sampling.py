"""Tables give what the scheduler gives, for any run, and never look at the device."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from deployments.diffusion.compute.sampling import StockSampler, TableSampler, on_device, tabulate
from deployments.diffusion.families.sd.schedulers import RECIPES, create_scheduler

TRAINED = {
    "_class_name": "PNDMScheduler",
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "steps_offset": 1,
    "set_alpha_to_one": False,
}
SHAPE = (1, 4, 6, 5)
RUNS = [(1, 0), (2, 0), (4, 1), (20, 4), (50, 47), (50, 0)]
# These schedulers compute in float32 whatever they are given.
SINGLE = {"euler", "euler_a", "dpmpp_2m", "dpmpp_2m_karras"}
CPU = torch.device("cpu")


def create(name: Any, prediction: str = "epsilon") -> Any:
    return create_scheduler(name, {**TRAINED, "prediction_type": prediction})


def pair(scheduler: Any, steps: int, skipped: int, dtype: Any = torch.float64) -> Any:
    """The stock sampler and the table's, with the same noise to draw."""
    stock = StockSampler(scheduler, steps, skipped, torch.Generator().manual_seed(5))
    generator = torch.Generator().manual_seed(5)
    noises = [torch.randn(SHAPE, generator=generator, dtype=dtype) for _ in stock.timesteps]
    table = on_device(tabulate(scheduler, steps, skipped), CPU, dtype)
    return stock, TableSampler(table, torch.cat(noises))


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("name", RECIPES)
def test_a_table_equals_the_stock_scheduler(name: Any, prediction: str) -> None:
    scheduler = create(name, prediction)
    tolerance = 5e-5 if name in SINGLE else 1e-11
    for steps, skipped in RUNS:
        stock, ours = pair(scheduler, steps, skipped)
        generator = torch.Generator().manual_seed(1)
        clean, noise = torch.randn((2, *SHAPE), generator=generator, dtype=torch.float64)
        assert ours.timesteps == stock.timesteps
        torch.testing.assert_close(ours.pure(noise), stock.pure(noise))
        theirs, made = stock.noised(clean, noise, 0), ours.noised(clean, noise, 0)
        for step in range(len(stock.timesteps)):
            size = max(1.0, theirs.abs().max().item())
            assert (made - theirs).abs().max() <= tolerance * size
            torch.testing.assert_close(
                ours.scaled(made, step), stock.scaled(theirs, step), rtol=0, atol=tolerance * size
            )
            prediction_now = torch.randn(SHAPE, generator=generator, dtype=torch.float64)
            theirs = stock.take(theirs, prediction_now, step)
            made = ours.take(made, prediction_now, step)
            if step + 1 < len(stock.timesteps):
                # As a mask does, put something else into a part of the latents.
                theirs[..., :2] = stock.noised(clean, noise, step + 1)[..., :2]
                made[..., :2] = ours.noised(clean, noise, step + 1)[..., :2]
        assert (made - theirs).abs().max() <= tolerance * max(1.0, theirs.abs().max().item())


@pytest.mark.parametrize("name", RECIPES)
def test_a_table_reads_nothing_back(name: Any) -> None:
    # Reading a number of a tensor on the meta device raises.
    meta = torch.device("meta")
    table = on_device(tabulate(create(name), 8, 2), meta, torch.float32)
    steps = len(table.timesteps)
    draws = torch.zeros((steps, *SHAPE[1:]), dtype=torch.float16, device=meta)
    sampler = TableSampler(table, draws if table.draws else None)
    clean = torch.zeros(SHAPE, dtype=torch.float16, device=meta)
    latents = sampler.noised(clean, clean, 0)
    for step in range(steps):
        prediction = sampler.scaled(latents, step).half()
        latents = sampler.take(latents, prediction, step)
        assert latents.shape == SHAPE
        assert latents.dtype == torch.float32


@pytest.mark.parametrize(
    ("name", "most"), [("ddim", 0), ("euler_a", 0), ("dpmpp_2m", 1), ("unipc", 3), ("pndm", 3)]
)
def test_a_table_remembers_no_more_than_the_scheduler(name: Any, most: int) -> None:
    table = tabulate(create(name), 30, 0)
    new = 3 if table.draws else 2
    kept = [matrix.shape[1] - new for matrix in table.matrices]
    assert max(kept) == most
    assert [matrix.shape[0] - 1 for matrix in table.matrices] == [*kept[1:], 0]


@pytest.mark.parametrize(("name", "draws"), [("ddim", False), ("euler_a", True), ("lcm", True)])
def test_only_samplers_that_draw_need_noise(name: Any, draws: bool) -> None:
    table = tabulate(create(name), 5, 0)
    assert table.draws is draws
    if draws:
        with pytest.raises(ValueError, match="draws noise"):
            TableSampler(table, None)


def test_making_a_table_leaves_the_scheduler_as_it_was() -> None:
    scheduler = create("unipc")
    tabulate(scheduler, 5, 0)
    assert scheduler.num_inference_steps is None
    assert scheduler.last_sample is None
