"""UNet, text encoder and ControlNet for latents of 128 channels: a few steps of each."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import ControlNetModel, UNet2DConditionModel
from PIL import Image
from safetensors.torch import load_file
from transformers import CLIPTextModel

from deployments.diffusion.families.registry import load_components
from deployments.settings import ModelSettings
from training import (
    controlnet,
    denoiser,
    doubling,
    draws,
    export,
    latents,
    loop,
    reading,
    start,
    text,
)
from training.drawing import Demo, Settings
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
        for part in ("chosen", "draws"):
            np.save(tmp_path / "draws" / f"{part}-{index:03d}.npy", pixels)
            said = [{"caption": "x", **asdict(Shown("paper", colour))} for colour in _COLOURS]
            (tmp_path / "draws" / f"{part}-{index:03d}.json").write_text(json.dumps(said))
    torch.manual_seed(0)
    doubling.build().save_pretrained(tmp_path / "vae")
    return tmp_path


def test_captions_are_of_the_draw_at_their_place(work: Path) -> None:
    say, rng = denoiser.saying(work / "draws"), np.random.default_rng(0)
    for place, word in ((0, "red"), (5, "teal"), (6, "white"), (3, "black")):
        assert any(word in say(rng, place).lower() for _ in range(8))
    assert len(draws.shown(work / "draws", "chosen")) == 8


def test_scenes_in_any_colour_are_learned_more_often(work: Path) -> None:
    said = [{"caption": "x", **asdict(Shown(kind))} for kind in ("paper", "beach", "silk", "sky")]
    for index in range(2):
        (work / "draws" / f"chosen-{index:03d}.json").write_text(json.dumps(said))
    expected = np.tile([3, 1, 3, 1], 2) / 16
    np.testing.assert_allclose(denoiser.shares(work / "draws"), expected)


def test_latents_are_encoded_once(work: Path) -> None:
    every = latents.cached(work)
    assert every.shape == (8, 128, 8, 8)
    kept = (work / "latents" / "chosen-000.pt").stat().st_mtime_ns
    (work / "latents" / "chosen-001.pt").unlink()
    torch.testing.assert_close(latents.cached(work), every)
    assert (work / "latents" / "chosen-000.pt").stat().st_mtime_ns == kept


def test_all_stages_train_and_go_on(work: Path) -> None:
    denoiser.train(work, loop.Plan(4, 1e-3, 0, warmup=1), batch=2, reading_steps=2)
    first = UNet2DConditionModel.from_pretrained(work / "unet")
    denoiser.train(work, loop.Plan(6, 1e-3, 0, warmup=1), batch=2)
    unet = UNet2DConditionModel.from_pretrained(work / "unet")
    name = "conv_in.weight"
    assert not torch.equal(first.state_dict()[name], unet.state_dict()[name])
    encoder = CLIPTextModel.from_pretrained(work / "text_encoder")
    tokenizer = text.load_tokenizer(work / "tokenizer")
    words = encoder(text.encode(tokenizer, ["red paper"])).last_hidden_state
    noisy = torch.randn(1, doubling.LATENTS, 8, 8)
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
    _check_export(work)
    halves = [p.numel() for m in (unet, encoder, control) for p in m.parameters()]
    assert 2 * sum(halves) + 6_200_000 < 32_000_000  # in float16, with the autoencoder


def _check_export(work: Path) -> None:
    """What was trained is a folder that pipelines draw from, the service loads, and start takes."""
    size = export.export(work, work / "demo")
    files = [p for p in (work / "demo").rglob("*") if p.is_file()]
    assert size == sum(p.stat().st_size for p in files) < export.LIMIT_BYTES
    demo = Demo(work / "demo", Settings(steps=2))
    first, second, again = demo.draw(["red paper"] * 3, [1, 2, 1])
    assert first.shape == (256, 256, 3)
    np.testing.assert_allclose(first, again, atol=1e-5)
    assert not np.allclose(first, second, atol=1e-2)
    control = [Image.new("RGB", (256, 256))]
    assert demo.draw(["red paper"], [1], control)[0].shape == (256, 256, 3)
    weights, edges = str(work / "demo" / "weights"), str(work / "demo" / "controlnet")
    parts = load_components(
        ModelSettings(id="demo", name="Demo", weights=weights, controlnet=edges, device="cpu")
    )
    assert (parts.shrinks, parts.latent_channels) == (32, 128)


def test_shipped_weights_are_trained_on(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    denoiser.train(work, loop.Plan(1, 1e-3, 0, warmup=1), batch=2, reading_steps=1)
    controlnet.train(work, loop.Plan(1, 1e-3, 0, warmup=1), batch=1)
    export.export(work, work / "demo")
    monkeypatch.setattr(start, "FOLDER", work / "demo")
    other = work / "other"
    start.fetch_autoencoder(other)
    start.fetch_networks(other)
    for file in ("vocab.json", "merges.txt"):
        fetched, kept = ((folder / "tokenizer" / file).read_text() for folder in (other, work))
        assert fetched == kept
    for part in ("unet", "text_encoder", "vae", "controlnet"):
        new, old = (
            load_file(next((folder / part).glob("*.safetensors"))) for folder in (other, work)
        )
        assert all(t.dtype == torch.float32 for t in new.values())
        assert all(torch.allclose(t, old[n], atol=1e-3, rtol=1e-3) for n, t in new.items())
    shutil.copytree(work / "draws", other / "draws")
    before = load_file(other / "unet" / "diffusion_pytorch_model.safetensors")
    denoiser.train(other, loop.Plan(1, 1e-9, 0, warmup=1, matrix_rate=1e-9), 2)
    after = load_file(other / "unet" / "diffusion_pytorch_model.safetensors")
    assert all(torch.allclose(t, before[n], atol=1e-6) for n, t in after.items())


def test_a_text_encoder_is_taught_what_captions_say(work: Path) -> None:
    said = [asdict(Shown("paper", "red")), asdict(Shown("silk", "teal"))] * 2
    for index in range(2):
        path = work / "draws" / f"chosen-{index:03d}.json"
        path.write_text(json.dumps([{"caption": "x", **one} for one in said]))
    tokenizer = denoiser.learn_tokenizer(work, denoiser.saying(work / "draws"), 8)
    encoder, pooling = text.build_encoder(tokenizer), denoiser.build().add_embedding
    plan = loop.Plan(60, 2e-3, 0, warmup=5, average=0.9)
    right = reading.teach(work, encoder, pooling, tokenizer, plan)
    assert right > 0.9
    other = reading.values_of(draws.shown(work / "draws", "chosen"))
    assert other["kind"] == ("paper", "silk")
    assert other["light"] == (None,)


def test_losses_of_faint_and_of_strong_pictures_weigh_alike() -> None:
    """A model that tells each picture's shapes as well as noise lets it has one loss for all."""
    generator = torch.Generator().manual_seed(0)
    latents = (
        torch.randn(2, 2, 8, 8, generator=generator) * torch.tensor([3.0, 0.3])[:, None, None, None]
    )
    batches = denoiser.Batches(lambda rng, place: "", None, latents)  # type: ignore[arg-type]
    kept = batches.schedule.alphas_cumprod
    losses = []
    for place in range(2):
        own = batches.contrast[place]
        for t in range(0, 1000, 111):
            unknown = (own / (own * kept[t] + 1 - kept[t])).sqrt()  # of v
            off = torch.tensor([[1.0, -1.0]]).expand(1, 2, 8, 2).repeat(1, 1, 1, 4) * unknown
            losses.append(float(batches.loss(off, torch.tensor([t]), [place])))
    assert min(losses) > 0
    assert max(losses) / min(losses) == pytest.approx(1, abs=1e-3)


def test_mean_colours_weigh_alike_in_all_pictures() -> None:
    faint = 0.1 * torch.randn(1, 2, 8, 8)
    latents = torch.cat([faint, 10 * faint])
    batches = denoiser.Batches(lambda rng, place: "", None, latents)  # type: ignore[arg-type]
    off, t = torch.ones(1, 2, 8, 8), torch.tensor([900])
    losses = [float(batches.loss(off, t, [place])) for place in range(2)]
    assert losses[0] == pytest.approx(losses[1])


def test_channels_count_by_their_variance() -> None:
    """A unit of the first is twice as many levels of colour as a unit of the second."""
    generator = torch.Generator().manual_seed(0)
    latents = torch.randn(4, 2, 8, 8, generator=generator)
    latents = (
        latents / latents.std((0, 2, 3), keepdim=True) * torch.tensor([2.0, 1.0])[:, None, None]
    )
    batches = denoiser.Batches(lambda rng, place: "", None, latents)  # type: ignore[arg-type]
    t, losses = torch.tensor([500]), []
    for channel in range(2):
        off = torch.zeros(1, 2, 8, 8)
        off[:, channel, ::2], off[:, channel, 1::2] = 1.0, -1.0
        losses.append(float(batches.loss(off, t, [0])))
    assert losses[0] / losses[1] == pytest.approx(4, rel=1e-4)
    alike = denoiser.Batches(lambda rng, place: "", None, latents, even=True)  # type: ignore[arg-type]
    assert torch.equal(alike.visible, torch.ones(2, 1, 1))
