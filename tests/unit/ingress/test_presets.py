"""Named sets of fields."""

from __future__ import annotations

import pytest

from deployments.ingress.http import presets
from deployments.ingress.http.schemas import request_models
from deployments.presets import DEFAULT_PRESETS
from deployments.settings import AppArgs, IngressSettings, ModelSettings

SETS = {
    "white": {"background": "#FFFFFF", "size": "500x500", "padding": 0.1},
    "tall": {"aspect_ratio": "9:16", "output_format": "jpeg", "steps": 7},
}
MODELS = request_models([ModelSettings(id="sd", name="SD")], IngressSettings(), 1536, SETS)


def order(**fields):
    body = {"image_url": "u", "prompt": "p", "model": "sd", **fields}
    return MODELS.variation.model_validate(body).order(pictured=False)


def test_a_preset_fills_in_what_is_left_out():
    given = order(preset="tall", num_images=2)
    assert given.canvas.aspect == 9 / 16
    assert (given.look.output.file_format, given.steps, given.num_images) == ("jpeg", 7, 2)


def test_own_fields_go_before_a_preset():
    given = order(preset="tall", steps=3, output_format="png")
    assert (given.steps, given.look.output.file_format) == (3, "png")
    # A shape of one's own puts out that of the preset, by whichever field it comes.
    assert order(preset="tall", size="300x400").canvas.size == (300, 400)
    assert order(preset="tall", size="300x400").canvas.aspect is None
    assert order(preset="white", aspect_ratio="1:2").canvas.size is None


def test_a_plain_preset_needs_no_prompt():
    given = MODELS.variation.model_validate({"image_url": "u", "preset": "white"})
    assert given.order(pictured=False).num_images == 1


async def test_presets_are_listed_and_chosen_in_a_form(api):
    listed = (await api.client.get("/api/models")).json()["presets"]
    assert [entry["name"] for entry in listed] == list(DEFAULT_PRESETS)
    assert listed[0]["fields"] == dict(DEFAULT_PRESETS["marketplace-white"])
    answer = await api.generate(preset="square-scene")
    assert answer.status_code == 200, answer.text
    assert answer.json()["images"][0].endswith(".jpg")


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"size": "10x10"}, "a.size must be auto or have sides of 64 to 1536 pixels"),
        ({"padding": "0.1"}, "a.padding must be a valid number"),
        ({"colour": "red"}, "a.unknown field: colour"),
        ({"seed": 1}, "a.seed: it is of one request, and of no preset"),
        (
            {"callback_url": "https://a.example/"},
            "a.callback_url: it is of one request, and of no preset",
        ),
        ({"size": "99x99", "aspect_ratio": "1:1"}, "a.size and aspect_ratio each say"),
        ({"steps": 999}, "a.steps must be less than or equal to 100"),
    ],
)
def test_a_preset_that_cannot_work_is_a_fault(fields, fault):
    assert [line[: len(fault)] for line in presets.faults(AppArgs(presets={"a": fields}))] == [
        fault
    ]


@pytest.mark.parametrize("side", [64, 1536, 8192])
def test_the_shipped_ones_work_with_every_size_of_results(side):
    args = AppArgs.model_validate({"studio": {"max_output_side": side}})
    assert list(presets.faults(args)) == []
