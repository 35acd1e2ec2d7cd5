"""The UNet, its text encoder and the ControlNet for latents of 32 channels: a few steps of each."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import ControlNetModel, UNet2DConditionModel
from transformers import CLIPTextModel

from training import components, controlnet, denoiser, draws, latents, loop, text
from training.rendering.looks import Shown

_COLOURS = ("red", "teal", "white", "black")


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two chunks of four plain pictures, and an autoencoder of noise."""
    monkeypatch.setattr(draws, "CHUNK", 4)
    monkeypatch.setattr(denoiser, "_WORDS", 200)
    (tmp_path / "draws").mkdir()
    rng = np.random.default_rng(0)
    for index in range(2):
        pixels = rng.integers(0, 256, (4, 256, 256, 3), np.uint8)
        np.save(tmp_path / "draws" / f"draws-{index:03d}.npy", pixels)
        said = [{"caption": "x", **asdict(Shown("paper", colour))} for colour in _COLOURS]
        (tmp_path / "draws" / f"draws-{index:03d}.json").write_text(json.dumps(said))
    torch.manual_seed(0)
    components.build().save_pretrained(tmp_path / "vae")
    return tmp_path


def test_captions_are_of_the_draw_at_their_place(work: Path) -> None:
    say, rng = denoiser.saying(work / "draws"), np.random.default_rng(0)
    for place, word in ((0, "red"), (5, "teal"), (6, "white"), (3, "black")):
        assert any(word in say(rng, place).lower() for _ in range(8))
    assert len(draws.shown(work / "draws")) == 8


def test_latents_are_encoded_once(work: Path) -> None:
    whole, half = latents.cached(work)
    assert whole.shape == (8, 32, 16, 16)
    assert half.shape == (8, 32, 8, 8)
    kept = (work / "latents" / "000.pt").stat().st_mtime_ns
    (work / "latents" / "001.pt").unlink()
    again, _ = latents.cached(work)
    torch.testing.assert_close(again, whole)
    assert (work / "latents" / "000.pt").stat().st_mtime_ns == kept


def test_all_stages_train_and_go_on(work: Path) -> None:
    denoiser.train(work, loop.Plan(4, 1e-3, 0, warmup=1), batch=2)
    first = UNet2DConditionModel.from_pretrained(work / "unet")
    denoiser.train(work, loop.Plan(6, 1e-3, 0, warmup=1), batch=2)
    unet = UNet2DConditionModel.from_pretrained(work / "unet")
    name = "conv_in.weight"
    assert not torch.equal(first.state_dict()[name], unet.state_dict()[name])
    encoder = CLIPTextModel.from_pretrained(work / "text_encoder")
    tokenizer = text.load_tokenizer(work / "tokenizer")
    words = encoder(text.encode(tokenizer, ["red paper"])).last_hidden_state
    noisy = torch.randn(1, components.LATENTS, 16, 16)
    assert unet(noisy, 500, words).sample.shape == noisy.shape
    controlnet.train(work, loop.Plan(2, 1e-3, 0, warmup=1), batch=1)
    control = ControlNetModel.from_pretrained(work / "controlnet")
    down, middle = control(noisy, 500, words, torch.rand(1, 3, 256, 256), return_dict=False)
    out = unet(
        noisy,
        500,
        words,
        down_block_additional_residuals=down,
        mid_block_additional_residual=middle,
    ).sample
    assert torch.isfinite(out).all()
    halves = [p.numel() for m in (unet, encoder, control) for p in m.parameters()]
    assert 2 * sum(halves) + 4_000_000 < 32_000_000  # in float16, with the autoencoder


def test_losses_of_strong_signals_weigh_less() -> None:
    batches = denoiser.Batches(lambda rng, place: "", None, torch.zeros(1))  # type: ignore[arg-type]
    t = torch.arange(1000)
    weights = batches.weight(t)
    assert float(weights.mean()) == pytest.approx(1, abs=1e-5)
    ratios = batches.schedule.alphas_cumprod / (1 - batches.schedule.alphas_cumprod)
    assert weights[ratios < 3.9].unique().numel() == 1
    assert bool((weights.diff() >= 0).all())
    assert float(weights[0]) < 0.1 * float(weights[-1])
