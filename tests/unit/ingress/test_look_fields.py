"""The fields of canvas, background, ground, light and file: what is accepted, and what is named."""

from __future__ import annotations

import pytest

from deployments.composition import Canvas, Look, Output
from deployments.ingress.http.schemas import request_models
from deployments.settings import IngressSettings, ModelSettings
from tests.unit.ingress.memory import png
from tests.unit.ingress.test_problems import problem

MODELS = request_models(
    [ModelSettings(id="sd", name="SD")], IngressSettings(max_images=8), 1536, {}
)

WRONG = [
    ({"size": "1000"}, "size must be auto or WIDTHxHEIGHT in pixels, such as 1000x1000"),
    ({"size": "63x64"}, "size must be auto or have sides of 64 to 1536 pixels"),
    ({"size": "64x1537"}, "size must be auto or have sides of 64 to 1536 pixels"),
    ({"size": "1000x100"}, "size must be no longer than 8:1 in either direction"),
    ({"size": "-5x100"}, "size must be auto or WIDTHxHEIGHT"),
    ({"aspect_ratio": "4/5"}, "aspect_ratio must be auto or W:H, such as 4:5"),
    ({"aspect_ratio": "0:5"}, "aspect_ratio must be a ratio of numbers over 0"),
    ({"aspect_ratio": "1:9"}, "aspect_ratio must be no longer than 8:1 in either direction"),
    ({"size": "100x100", "aspect_ratio": "1:1"}, "size and aspect_ratio each say"),
    ({"padding": 0.5}, "padding must be less than or equal to 0.49"),
    ({"padding": -0.1}, "padding must be greater than or equal to 0"),
    ({"product_position": "middle"}, "product_position must be auto, one of center, top"),
    ({"product_position": "0.5"}, "or X,Y with shares of width and height from 0 to 1"),
    ({"product_position": "0.5,1.1"}, "product_position must be"),
    ({"background": "white"}, "background must be scene, transparent, blur, image, or a colour"),
    ({"background": "#FFF"}, "or a colour as #RRGGBB"),
    ({"background": "transparent", "output_format": "jpeg"}, "output_format: jpeg has no"),
    ({"background": "transparent", "harmonize": 0.5}, "harmonize: background=transparent"),
    ({"background": "#FFFFFF", "num_images": 2}, "num_images: background=#FFFFFF gives one"),
    ({"background": "image"}, "background_image is required with background=image"),
    ({"shadow": "long"}, "shadow must be 'none', 'contact', 'cast' or 'floating'"),
    ({"shadow_strength": 1.5}, "shadow_strength must be less than or equal to 1"),
    ({"shadow": "none", "shadow_strength": 0.5}, "shadow_strength: no shadow is thrown"),
    ({"background": "#000000", "shadow_strength": 0.5}, "shadow_strength: no shadow is thrown"),
    ({"harmonize": 2}, "harmonize must be less than or equal to 1"),
    ({"output_format": "gif"}, "output_format must be 'png', 'jpeg' or 'webp'"),
    ({"output_quality": 50}, "output_quality: png keeps everything"),
    ({"output_quality": 0, "output_format": "jpeg"}, "output_quality must be greater than"),
    ({"preset": "none-such"}, "preset must be one of: marketplace-white, square-scene, story"),
    ({"preserve_product": "false", "background": "blur"}, "background: it is of a product"),
    ({"preserve_product": "false", "padding": 0.1}, "padding: it is of a product"),
    ({"preserve_product": "false", "product_position": "top"}, "product_position: it is of a"),
    ({"preserve_product": "false", "shadow": "cast"}, "shadow: it is of a product"),
    ({"preserve_product": "false", "harmonize": 1}, "harmonize: it is of a product"),
]


@pytest.mark.parametrize(("fields", "sentence"), WRONG)
async def test_a_wrong_field_is_named_in_a_form_and_in_json(api, fields, sentence):
    assert sentence in problem(await api.generate(**fields), 400, "invalid_request")
    url = "http://shop.test/generated/" + "0" * 32 + ".png"
    assert sentence in problem(await api.vary(url, **fields), 400, "invalid_request")
    assert api.models.jobs == []
    assert api.names() == []


@pytest.mark.parametrize(
    ("fields", "canvas"),
    [
        ({}, Canvas()),
        ({"size": "auto", "aspect_ratio": "auto", "product_position": "auto"}, Canvas()),
        ({"size": "1000x800"}, Canvas(size=(1000, 800))),
        ({"aspect_ratio": "4:5"}, Canvas(aspect=0.8)),
        ({"aspect_ratio": "1.91:1"}, Canvas(aspect=1.91)),
        ({"padding": 0}, Canvas(padding=0.0)),
        ({"product_position": "top-left"}, Canvas(position="top-left")),
        ({"product_position": "0.25,1"}, Canvas(position=(0.25, 1.0))),
    ],
)
def test_what_is_asked_of_the_canvas(fields, canvas):
    body = {"image_url": "u", "prompt": "p", "model": "sd", **fields}
    order = MODELS.variation.model_validate(body).order(pictured=False)
    assert order.canvas == canvas
    assert order.look == Look()


def test_what_is_asked_of_the_look():
    body = {
        "image_url": "u", "background": "#A0b1C2", "shadow": "cast", "shadow_strength": 0.25,
        "harmonize": 0.5, "output_format": "webp", "output_quality": 70,
    }  # fmt: skip
    order = MODELS.variation.model_validate(body).order(pictured=False)
    assert order.look == Look("#A0b1C2", "cast", 0.25, 0.5, Output("webp", 70))
    assert (order.model, order.prompt, order.num_images) == (None, "", 1)


def test_shadows_have_a_default_of_their_background():
    assert Look().thrown == "contact"
    assert Look("#FFFFFF").thrown == "none"
    assert Look("#FFFFFF", "floating").thrown == "floating"


async def test_a_background_image_needs_its_background(api):
    files = {"image": ("a.png", png(), "image/png"), "background_image": ("b.png", png())}
    data = {"prompt": "p", "model": "stable-diffusion"}
    answer = await api.client.post("/api/generate", data=data, files=files)
    error = problem(answer, 400, "invalid_request")
    assert "background_image is the picture of background=image" in error


async def test_a_damaged_background_image_is_named(api):
    files = {"image": ("a.png", png(), "image/png"), "background_image": ("b.png", b"no picture")}
    answer = await api.client.post("/api/generate", data={"background": "image"}, files=files)
    assert problem(answer, 400, "invalid_image").startswith("background_image")


async def test_a_scene_still_needs_prompt_and_model(api):
    files = {"image": ("a.png", png(), "image/png")}
    answer = await api.client.post("/api/generate", data={}, files=files)
    error = problem(answer, 400, "invalid_request")
    assert "prompt is required" in error
    assert "model is required" in error
