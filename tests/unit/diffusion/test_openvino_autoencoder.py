"""OpenVINO's autoencoders against torch's, and which one a model's settings choose."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from stepped import SteppedModel, a_job, a_photo

pytest.importorskip("openvino", reason="openvino has no wheel for this processor")

from deployments.diffusion.compute.autoencoder import TorchAutoencoder
from deployments.diffusion.compute.backend_choice import create_autoencoder
from deployments.diffusion.compute.openvino_autoencoder import OpenVINOAutoencoder
from deployments.diffusion.weights import precision
from deployments.diffusion.weights.precision import native_bf16
from deployments.settings import ModelSettings
from tests.tiny_models import tiny_components

PHOTO = Path(__file__).parents[3] / "deployments" / "samples" / "coffee.png"
SIZES = [(64, 64), (40, 96), (56, 8)]

needs_bf16 = pytest.mark.skipif(
    not native_bf16(), reason="OpenVINO takes float32 on a processor without bfloat16"
)
kinds = pytest.mark.parametrize("vae", ["kl", "tiny", "dc"])


@pytest.fixture(scope="module")
def converted(components: Callable[..., Any]) -> Callable[[str, bool], tuple[Any, Any]]:
    """Components with a kind of autoencoder and what OpenVINO made of it, converted once each."""

    @cache
    def convert(vae: str, bf16: bool) -> tuple[Any, Any]:
        parts = components(vae=vae)
        return parts, OpenVINOAutoencoder(parts, bf16=bf16, threads=1)

    return convert


def a_picture(height: int, width: int, seed: int = 0) -> torch.Tensor:
    """The sample photo, or a part of it that the seed chooses."""
    with Image.open(PHOTO) as photo:
        shown = photo.convert("RGB").crop((seed, seed, 400, 400)).resize((width, height))
    return (
        2 * torch.from_numpy(np.array(shown).astype(np.float32) / 255)[None].permute(0, 3, 1, 2) - 1
    )


def numbers(encoding: Any) -> torch.Tensor:
    """Latents, or mean and log variance of theirs."""
    known = isinstance(encoding, torch.Tensor)
    made: torch.Tensor = encoding if known else encoding.parameters
    return made


def levels(decoded: torch.Tensor) -> torch.Tensor:
    return ((decoded * 0.5 + 0.5).clamp(0, 1) * 255).round()


@kinds
@torch.inference_mode()
def test_float32_gives_what_torch_gives_at_any_size(
    converted: Callable[..., Any], vae: str
) -> None:
    parts, autoencoder = converted(vae, False)
    stock = TorchAutoencoder(parts.vae)
    for size in SIZES:
        picture = a_picture(*size)
        expected = numbers(stock.encode(picture))
        torch.testing.assert_close(
            numbers(autoencoder.encode(picture)), expected, rtol=1e-4, atol=2e-5
        )
        latents = 3 * expected[:, : parts.latent_channels]
        expected = stock.decode(latents)
        assert expected.shape == picture.shape
        torch.testing.assert_close(autoencoder.decode(latents), expected, rtol=1e-4, atol=2e-5)


@torch.inference_mode()
def test_drawing_from_the_distribution_is_torchs(converted: Callable[..., Any]) -> None:
    parts, autoencoder = converted("kl", False)
    drawn = [
        one.encode(a_picture(64, 64)).sample(torch.Generator().manual_seed(5))
        for one in (autoencoder, TorchAutoencoder(parts.vae))
    ]
    torch.testing.assert_close(drawn[0], drawn[1], rtol=1e-4, atol=2e-5)


@needs_bf16
@torch.inference_mode()
def test_a_tiny_autoencoder_is_true_to_two_levels_in_bfloat16(
    converted: Callable[..., Any],
) -> None:
    parts, autoencoder = converted("tiny", True)
    stock = TorchAutoencoder(parts.vae)
    for seed in (0, 100):
        picture = a_picture(128, 160, seed)
        exact = stock.encode(picture)
        expected = levels(stock.decode(exact))
        for decoded in (
            autoencoder.decode(exact),
            stock.decode(autoencoder.encode(picture)),
        ):
            away = (levels(decoded) - expected).abs()
            assert away.max() <= 2
            assert away.mean() < 0.5
    assert not torch.equal(autoencoder.encode(picture), exact), "it computed in float32"


@pytest.mark.parametrize(
    ("vae", "bf16"),
    [("kl", False), ("dc", False), ("tiny", False), pytest.param("tiny", True, marks=needs_bf16)],
)
@torch.inference_mode()
def test_a_picture_is_the_same_to_the_last_bit_alone_and_among_others(
    converted: Callable[..., Any], vae: str, bf16: bool
) -> None:
    parts, autoencoder = converted(vae, bf16)
    pictures = [a_picture(*size) for size in SIZES]
    alone = [numbers(autoencoder.encode(one)) for one in pictures]
    latents = [one[:, : parts.latent_channels] for one in alone]
    decoded = [autoencoder.decode(one) for one in latents]
    kept = [one.clone() for one in (*alone, *decoded)]
    encodings: list[torch.Tensor] = []

    def encode() -> None:
        for _ in range(5):
            encodings.extend(numbers(autoencoder.encode(one)) for one in pictures)

    encoding = threading.Thread(target=encode)
    encoding.start()
    beside = [autoencoder.decode(one) for _ in range(5) for one in latents]
    encoding.join()

    assert all(map(torch.equal, encodings, 5 * alone))
    assert all(map(torch.equal, beside, 5 * decoded))
    # What was given stays when others run.
    assert all(map(torch.equal, (*alone, *decoded), kept))


@kinds
def test_a_released_module_is_empty_and_the_autoencoder_still_runs(
    converted: Callable[..., Any], vae: str
) -> None:
    whole, kept = converted(vae, False)
    parts = tiny_components(vae=vae)
    autoencoder = OpenVINOAutoencoder(parts, bf16=False, threads=1, release=True)

    for module in (parts.vae.encoder, parts.vae.decoder):
        assert all(one.is_meta for one in module.parameters())
    assert parts.vae.dtype == torch.float32
    assert parts.shrinks == whole.shrinks
    for size in SIZES:
        picture = a_picture(*size)
        encoded = numbers(kept.encode(picture))
        assert torch.equal(numbers(autoencoder.encode(picture)), encoded)
        latents = encoded[:, : parts.latent_channels]
        assert torch.equal(autoencoder.decode(latents), kept.decode(latents))


def test_half_precision_is_converted_and_answers_in_its_own_type() -> None:
    parts = tiny_components(vae="tiny", dtype=torch.bfloat16)
    autoencoder = OpenVINOAutoencoder(parts, bf16=False, threads=1)
    encoded = autoencoder.encode(a_picture(64, 64).bfloat16())
    assert isinstance(encoded, torch.Tensor)
    assert encoded.dtype == autoencoder.decode(encoded).dtype == torch.bfloat16


def test_a_released_model_makes_the_image_of_torchs(
    components: Callable[..., Any],
) -> None:
    def image(parts: Any, **options: Any) -> Any:
        model = SteppedModel.free(parts, "euler_a", **options)
        state = model.prepare(a_job(), a_photo())
        while state.step < state.steps:
            model.advance(state, *model.predict([state]))
        return model.decode(state).astype(int)

    parts = tiny_components(vae="kl")
    autoencoder = create_autoencoder(
        parts, ModelSettings(id="cups", name="Cups", dtype="float32"), release=True
    )
    away = np.abs(image(parts, autoencoder=autoencoder) - image(components(vae="kl")))
    assert away.max() <= 1


@pytest.mark.parametrize(
    ("vae", "changes", "told"),
    [
        ("tiny", {}, "AutoencoderTiny with OpenVINO in bfloat16"),
        ("tiny", {"dtype": "float32"}, "AutoencoderTiny with OpenVINO in float32"),
        ("kl", {}, "AutoencoderKL with OpenVINO in float32"),
        ("kl", {"dtype": "bfloat16"}, "AutoencoderKL with OpenVINO in float32"),
        ("dc", {}, "AutoencoderDC with OpenVINO in float32"),
        ("tiny", {"backend": "torch"}, "AutoencoderTiny with torch in float32"),
    ],
)
def test_the_choice_is_logged(
    components: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    vae: str,
    changes: dict[str, Any],
    told: str,
) -> None:
    monkeypatch.setattr(precision, "native_bf16", lambda: True)
    caplog.set_level(logging.INFO)
    made = create_autoencoder(components(vae=vae), ModelSettings(id="cups", name="Cups", **changes))
    assert f"model cups runs its {told}: as its networks" in caplog.text
    assert isinstance(made, TorchAutoencoder) == ("torch" in told)
