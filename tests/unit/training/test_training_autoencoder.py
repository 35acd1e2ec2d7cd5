"""The autoencoder that is computed from principal components, and what training adds."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from diffusers import AutoencoderDC
from PIL import Image

from training import autoencoder, components, critic, doubling, draws, fidelity, loop
from training.crops import Crops, squares


def _pictures(count: int, side: int = 64, seed: int = 0) -> Any:
    """Smooth pictures with an edge each, uint8."""
    rng = np.random.default_rng(seed)
    out = []
    for _ in range(count):
        small = rng.uniform(0, 255, (5, 5, 3)).astype(np.float32)
        picture = cv2.resize(small, (side, side), interpolation=cv2.INTER_CUBIC)
        y = int(rng.integers(side // 4, side))
        picture[y:] = 255 - picture[y:]
        out.append(np.clip(picture, 0, 255).astype(np.uint8))
    return np.stack(out)


@pytest.fixture(scope="module")
def fitted() -> AutoencoderDC:
    torch.manual_seed(0)
    return components.fit(components.build(), _pictures(150))


@pytest.fixture
def work(tmp_path: Path) -> Path:
    (tmp_path / "draws").mkdir()
    np.save(tmp_path / "draws" / "draws-000.npy", _pictures(24, 256, 1))
    np.save(tmp_path / "draws" / "held-000.npy", _pictures(8, 256, 2))
    return tmp_path


def _best(learned: Any, seen: Any) -> float:
    """Decibels of 32 principal components of 16x16 patches without any network."""
    rows, wanted = components.patches(learned, 16), components.patches(seen, 16)
    centre = rows.mean(0)
    basis = np.linalg.eigh(np.cov(rows, rowvar=False))[1][:, -32:]
    off = (wanted - centre) - (wanted - centre) @ basis @ basis.T
    return float(-10 * np.log10(np.square(off / 2).mean()))


def test_a_computed_autoencoder_keeps_what_its_components_can(fitted: AutoencoderDC) -> None:
    seen = _pictures(20, seed=5)
    x, y = fidelity.decoded(fitted, seen)
    reached = float(-10 * (x - y).div(2).square().mean().log10())
    assert reached > _best(_pictures(150), seen) - 0.7
    assert reached > 26
    latents = fitted.encode(x).latent
    assert latents.shape == (20, 32, 4, 4)
    assert 0.4 < float(latents.detach().std()) < 2.5


def test_no_picture_gets_a_frame(fitted: AutoencoderDC) -> None:
    for side in (64, 96):
        x, y = fidelity.decoded(fitted, _pictures(12, side, 7))
        assert fidelity.frame(x - y) < 1.5


def test_a_frame_is_told_from_an_even_difference() -> None:
    off = torch.full((1, 3, 64, 64), 0.1)
    assert fidelity.frame(off) == pytest.approx(1)
    off[..., :4] = 0.8
    assert fidelity.frame(off) > 2
    assert fidelity.decibels(torch.full((2, 3, 8, 8), 0.2)).tolist() == pytest.approx([20, 20])


def test_plain_white_and_plain_black_come_back(fitted: AutoencoderDC) -> None:
    for level in (0, 128, 255):
        plain = np.full((1, 64, 64, 3), level, np.uint8)
        x, y = fidelity.decoded(fitted, plain)
        assert float((x - y).abs().mean()) < 0.04


def test_pictures_of_one_patch_repeated_come_back() -> None:
    """What a decoder that only enlarges could not draw: all latents alike, the inside uneven."""
    cell = np.kron(np.array([[0, 255], [255, 0]], np.uint8), np.ones((8, 8), np.uint8))
    tiled = np.tile(cell, (4, 4))[None, :, :, None].repeat(3, 3)
    learned = np.concatenate([_pictures(150), tiled.repeat(10, 0)])
    model = components.fit(components.build(), learned)
    x, y = fidelity.decoded(model, tiled)
    latents = model.encode(x).latent.detach()
    assert float(latents.std((2, 3)).max()) < 1e-3
    assert float((x - y).abs().mean()) < 0.15


def test_a_doubled_autoencoder_decodes_as_the_one_it_was_made_of(fitted: AutoencoderDC) -> None:
    given = copy.deepcopy(fitted)
    generator = torch.Generator().manual_seed(0)
    for part in given.decoder.modules():  # as if it had been trained
        if components.is_block(part):
            weights = part.norm.weight
            weights.data.copy_(0.3 * torch.randn(weights.shape, generator=generator))
    made = doubling.doubled(given, _pictures(150))
    for side in (64, 96):
        seen = _pictures(8, side, 11)
        x, expected = fidelity.decoded(given, seen)
        _, y = fidelity.decoded(made, seen)
        assert float(fidelity.decibels(x - expected).mean()) < 45
        assert float(fidelity.decibels(y - expected).min()) > 60
        latents = made.encode(x).latent.detach()
        assert latents.shape == (8, 128, side // 32, side // 32)
    assert 0.4 < float(latents.std()) < 2.5


def test_training_teaches_the_decoder_alone_and_goes_on(work: Path) -> None:
    crops = Crops(work / "draws", None, [])
    model = autoencoder.prepare(work, crops, 0)
    before = {n: p.clone() for n, p in model.named_parameters()}
    autoencoder.train(work, crops, loop.Plan(8, 1e-3, 0, warmup=1, average=0.5), every=1)
    after = AutoencoderDC.from_pretrained(work / "vae")
    changed = {n for n, p in after.named_parameters() if not torch.equal(p, before[n])}
    assert changed
    blocks = {n for n, part in after.named_modules() if components.is_block(part)}
    assert all(any(name.startswith(block + ".") for block in blocks) for name in changed)
    assert not any(name.startswith("encoder") for name in changed)
    assert (work / "sheets" / "autoencoder.png").exists()
    state = torch.load(work / "autoencoder.pt", weights_only=True)
    assert state["step"] == 8
    critics = [n for n in state["model"] if n.startswith("critic")]
    assert critics  # it goes on with the critic that it had
    autoencoder.train(work, crops, loop.Plan(10, 1e-3, 0, warmup=1), every=1)
    assert torch.load(work / "autoencoder.pt", weights_only=True)["step"] == 10


def test_edges_tell_a_soft_picture_from_a_shifted_tone() -> None:
    x = components.signed(_pictures(4))
    soft = torch.nn.functional.avg_pool2d(x, 5, 1, 2, count_include_pad=False)
    assert float(autoencoder.edges(x + 0.1, x)) < 1e-5
    assert float(autoencoder.edges(soft, x)) > 0.02


def test_the_critic_and_the_decoder_learn_from_each_other_alone() -> None:
    judge, real = critic.build(8), torch.rand(2, 3, 32, 32)
    decoded = torch.rand(2, 3, 32, 32, requires_grad=True)
    critic.loss(judge, real, decoded).backward()
    assert decoded.grad is None
    assert all(p.grad is not None for p in judge.parameters())
    judge.zero_grad(set_to_none=True)
    critic.blame(judge, decoded).backward()
    assert decoded.grad is not None
    assert all(p.grad is None for p in judge.parameters())


def test_crops_come_from_draws_and_photographs(work: Path, tmp_path: Path) -> None:
    Image.new("RGB", (300, 200), (0, 0, 255)).save(tmp_path / "blue.png")
    crops = Crops(work / "draws", None, [tmp_path / "blue.png"])
    drawn = crops.draw(np.random.default_rng(0), 80, 128)
    assert drawn.shape == (80, 128, 128, 3)
    blue = (drawn == (0, 0, 255)).all((1, 2, 3))
    assert 3 < blue.sum() < 30
    np.testing.assert_array_equal(drawn, crops.draw(np.random.default_rng(0), 80, 128))
    assert squares(tmp_path / "blue.png", 0, 3, 64).shape == (3, 64, 64, 3)


def test_measures_are_of_what_was_held_out(fitted: AutoencoderDC, work: Path) -> None:
    fitted.save_pretrained(work / "vae")
    found = fidelity.measure(work / "vae", work / "draws", [])
    assert set(found) == {"renders_db", "renders_least_db", "renders_frame", "decode_cpu_s"}
    assert 10 < found["renders_least_db"] < found["renders_db"] < 60


def test_draws_missing_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no held in"):
        draws.load(tmp_path, "held")
