"""LoRAs that requests choose: a job beside others is what the stock pipeline makes with its own."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import pytest
import stock
import stock_flux2
import torch
from lora_cases import FILM, KINDS, PAINT, Cases, with_loras
from stepped import Listener, SteppedModel
from stock import JobByJob, photos
from stock_flux2 import PHOTOS

from deployments.diffusion.compute.networks import Rows, TorchNetworks
from deployments.diffusion.families.flux2.model import Flux2Klein
from deployments.diffusion.weights.row_loras import Beside, RowLoras
from deployments.jobs import ImageJob
from deployments.loras import Lora

UNETS = ("sd", "sdxl")
SCHEDULER = "euler_a"
TOLERANCE = 1e-9
"""Of latents in double precision, relative to the largest."""

LORAS = {
    "a": Lora(FILM, 0.7),
    "b": Lora(PAINT, 1.3),
    "c": None,
    "cancelled": Lora(FILM, 2.0),
    "d": Lora(FILM, -1.5),
    "late": Lora(FILM, 0.25),
    "wide": Lora(FILM, 0.7),
}
FLUX2_LORAS = {
    "edit": Lora(FILM, 0.7),
    "guided": Lora(PAINT, 1.3),
    "two": Lora(FILM, 1.0),
    "cancelled": Lora(FILM, 2.0),
    "inpaint": None,
    "negative": Lora(FILM, -1.5),
    "both": Lora(PAINT, 0.5),
    "wide": Lora(PAINT, 1.0),
    "late": Lora(PAINT, -0.25),
}
JOBS = with_loras(stock.JOBS, LORAS)
FLUX2_JOBS = with_loras(stock_flux2.JOBS, FLUX2_LORAS)


@pytest.fixture(scope="session")
def cases(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Cases]:
    folder = tmp_path_factory.mktemp("beside")
    return {kind: Cases(kind, folder / kind) for kind in KINDS}


def run(case: Cases, parts: Any, **options: Any) -> dict[str, Any]:
    if case.family == "flux2":
        return stock_flux2.run_staggered(Flux2Klein(parts), jobs=FLUX2_JOBS, **options)
    networks = options.pop("networks", None)
    model = SteppedModel.free(parts, SCHEDULER, networks=networks)
    return stock.run_staggered(model, photos(masked=True), jobs=JOBS, **options)


def options_of(case: Cases, dtype: torch.dtype) -> dict[str, Any]:
    both = {"dtype": dtype}
    return both | ({"distilled": False} if case.family == "flux2" else {"controlnet": True})


def difference(case: Cases, ours: Mapping[str, Any], dtype: torch.dtype) -> tuple[float, int]:
    """The largest relative difference of latents, and that of pixels, to the stock pipelines."""
    latents, pixels = [], []
    for key, (our_latents, our_pixels) in ours.items():
        if case.family == "flux2":
            parts = case.alone(FLUX2_LORAS[key], **options_of(case, dtype))
            made = stock_flux2.run_stock(parts, stock_flux2.JOBS[key], PHOTOS[key])
        else:
            parts = case.alone(LORAS[key], **options_of(case, dtype))
            made = stock.run_stock(parts, SCHEDULER, stock.JOBS[key], photos(masked=True)[key])
        their_latents, their_pixels = made
        apart = (our_latents - their_latents).abs().max() / their_latents.abs().max()
        latents.append(apart.item())
        pixels.append(np.abs(our_pixels.astype(int) - their_pixels).max().item())
    return max(latents), max(pixels)


@pytest.mark.parametrize("family", KINDS)
def test_rows_with_different_loras_equal_the_stock_pipelines(
    cases: Mapping[str, Cases], family: str
) -> None:
    case = cases[family]
    ours = run(case, case.beside(**options_of(case, torch.float64)))
    assert len(ours) >= 6
    latents, pixels = difference(case, ours, torch.float64)
    assert latents <= TOLERANCE
    assert pixels == 0


class RowByRow:
    """A transformer that sees each row alone, with its own LoRA."""

    def __init__(self, parts: Any) -> None:
        self.config = parts.transformer.config
        self._parts = parts
        self.loras = Recorded(parts.loras)

    def __call__(self, **given: Any) -> Any:
        each = ("hidden_states", "timestep", "encoder_hidden_states")
        rows = []
        for row, lora in enumerate(self.loras.rows):
            with self._parts.loras.given_to([lora]):
                one = {name: given[name][row : row + 1] for name in each}
                rows.append(self._parts.transformer(**{**given, **one})[0])
        return (torch.cat(rows),)


class Recorded:
    """LoRAs that are given to no row, but written down."""

    def __init__(self, loras: RowLoras) -> None:
        self._loras = loras
        self.rows: list[Lora | None] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loras, name)

    def given_to(self, rows: Any) -> Any:
        self.rows = list(rows)
        return self._loras.given_to([])


@pytest.mark.parametrize("family", KINDS)
def test_a_lora_gives_the_stock_pipelines_bits_in_bfloat16(
    cases: Mapping[str, Cases], family: str
) -> None:
    case = cases[family]
    parts = case.beside(**options_of(case, torch.bfloat16))
    # All that is ours is done for many jobs at once; only the kernels see one job's batch size.
    if family == "flux2":
        alone = RowByRow(parts)
        ours = run(case, dataclasses.replace(parts, transformer=alone, loras=alone.loras))
    else:
        ours = run(case, parts, networks=JobByJob(parts))
    assert difference(case, ours, torch.bfloat16) == (0, 0)


@pytest.mark.parametrize("family", KINDS)
def test_a_seed_with_a_lora_gives_the_same_image_alone_and_beside_others(
    cases: Mapping[str, Cases], family: str
) -> None:
    case = cases[family]
    parts = case.beside(**options_of(case, torch.float64))
    beside, alone = (run(case, parts, together=most) for most in (16, 1))
    for key, (_, pixels) in beside.items():
        assert np.array_equal(pixels, alone[key][1])


Change = Callable[[list[Lora | None]], list[Lora | None]]


def dropped(rows: list[Lora | None]) -> list[Lora | None]:
    return [None, *rows[1:]]


def swapped(rows: list[Lora | None]) -> list[Lora | None]:
    return rows[::-1]


def one_scale(rows: list[Lora | None]) -> list[Lora | None]:
    return [one and Lora(one.name, 1.0) for one in rows]


def shared(rows: list[Lora | None]) -> list[Lora | None]:
    return [next((one for one in rows if one is not None), None)] * len(rows)


class Instead(RowLoras):
    """LoRAs that are given to the wrong rows of a denoising network."""

    def __init__(self, loras: RowLoras, change: Change) -> None:
        super().__init__(loras._loaded)
        self._loras, self._change = loras, change

    def given_to(self, rows: Any) -> Any:
        return self._loras.given_to(self._change(list(rows)))


@pytest.mark.parametrize("wrong", [dropped, swapped, one_scale, shared])
@pytest.mark.parametrize("family", KINDS)
def test_the_comparison_sees_wrong_loras(
    cases: Mapping[str, Cases], family: str, wrong: Change
) -> None:
    case = cases[family]
    parts = case.beside(**options_of(case, torch.float64))
    instead = Instead(parts.loras, wrong)
    if family == "flux2":
        ours = run(case, dataclasses.replace(parts, loras=instead))
    else:
        ours = run(case, parts, networks=TorchNetworks(parts.unet, parts.controlnet, instead))
    assert difference(case, ours, torch.float64)[0] > 1e-3


@pytest.mark.parametrize("family", UNETS)
def test_the_comparison_sees_a_text_that_is_read_without_its_lora(
    cases: Mapping[str, Cases], family: str
) -> None:
    case = cases[family]
    parts = case.beside(**options_of(case, torch.float64))
    assert [parts.loras._loaded[name].reads_texts for name in (FILM, PAINT)] == [True, False]
    deaf = {
        name: dataclasses.replace(one, reads_texts=False)
        for name, one in parts.loras._loaded.items()
    }
    networks = TorchNetworks(parts.unet, parts.controlnet, parts.loras)
    ours = run(case, dataclasses.replace(parts, loras=RowLoras(deaf)), networks=networks)
    assert difference(case, ours, torch.float64)[0] > 1e-3


@pytest.mark.parametrize("family", KINDS)
def test_the_engine_mixes_loras(
    cases: Mapping[str, Cases], start_engine: Callable[..., Any], family: str
) -> None:
    case, begun = cases[family], []
    parts = case.beside(**options_of(case, torch.float64))
    kind: Any = Flux2Klein if family == "flux2" else partial(SteppedModel.free, scheduler=SCHEDULER)
    model, alone = kind(parts), kind(parts)
    jobs = list((FLUX2_JOBS if family == "flux2" else JOBS).values())
    given = PHOTOS if family == "flux2" else photos(masked=True)
    predict = model.predict

    def watched(batch: Any) -> Any:
        begun.append({one.lora and one.lora.name for one in batch})
        return predict(batch)

    model.predict = watched
    engine = start_engine(model)
    heard = {job.key: Listener() for job in jobs}
    for job in jobs:
        engine.submit(job, given[job.key], heard[job.key])
    for job in jobs:
        pixels = heard[job.key].image().pixels
        assert np.array_equal(pixels, by_itself(alone, job, given[job.key]))
    assert any({FILM, PAINT} <= names for names in begun)


def by_itself(model: Any, job: ImageJob, photo: Any) -> Any:
    state = model.prepare(job, photo)
    while state.step < state.steps:
        model.advance(state, *model.predict([state]))
    return model.decode(state)


def test_rows_need_as_many_loras_as_a_layer_has() -> None:
    loras = RowLoras({FILM: Beside("x", reads_texts=False, numbers=1)})
    with loras.given_to([Lora(FILM, 1.0), None]):
        assert loras.runs(2)
        with pytest.raises(ValueError, match="LoRAs of 2 rows, and a layer with 3"):
            loras.runs(3)
    assert loras.runs(3) == ()
    with pytest.raises(ValueError, match="no LoRA unknown"), loras.given_to([Lora("unknown", 1.0)]):
        pass


def test_the_order_of_rows_is_restored(cases: Mapping[str, Cases]) -> None:
    case = cases["sd"]
    parts = case.beside(dtype=torch.float64)
    seen: list[tuple[Lora | None, ...]] = []

    class Told:
        def predict(self, rows: Rows) -> torch.Tensor:
            seen.append(rows.loras)
            return TorchNetworks(parts.unet, None, parts.loras).predict(rows)

    model = SteppedModel.free(parts, SCHEDULER, networks=Told())
    states = [model.prepare(JOBS[key], photos(masked=True)[key]) for key in "abdc"]
    together = model.predict(states)
    # Beside each other: none, then each name with its scales.
    names = [one and str(one) for one in seen[0]]
    assert names == [None] * 2 + ["film:-1.5"] * 2 + ["film:0.7"] * 2 + ["paint-2:1.3"]
    for state, found in zip(states, together, strict=True):
        torch.testing.assert_close(found, model.predict([state])[0], rtol=0, atol=1e-9)
