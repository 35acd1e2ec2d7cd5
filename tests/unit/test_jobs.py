"""What crosses deployment handles is frozen and picklable, and a recipe keeps its secrets."""

from __future__ import annotations

import inspect
import json
import pickle
from dataclasses import FrozenInstanceError, fields, is_dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments import composition, encoded, jobs, loras, recipes
from deployments.composition import Canvas, Look, Output, Placement
from deployments.encoded import EncodedCutOut, EncodedSources, FinishedImage, StoredImage
from deployments.jobs import (
    ControlSettings,
    Fidelity,
    GeneratedImage,
    GenerationSettings,
    Hints,
    ImageJob,
    Layout,
    OpenedPhoto,
    Photo,
    PreparedPhoto,
    Product,
    Progress,
)
from deployments.loras import Lora, read_lora
from deployments.recipes import Recipe

MASK = np.arange(4 * 6, dtype=np.uint8).reshape(4, 6)
PIXELS = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
SETTINGS = GenerationSettings("Grün 🌿", "people", 7, 20, 7.5, 0.8, Lora("film", 0.5))
CONTROL = ControlSettings(0.9, 0.1, 0.8)
JOB = ImageJob("ab" * 16, SETTINGS)
RECIPE = Recipe(
    model="controlnet",
    weights="/srv/weights/secret-lab@0a1b2c",
    scheduler="dpmpp_2m",
    source="result",
    source_key="5e" * 16,
    photo_key="f0" * 16,
    mask_key="3a" * 16,
    fidelity=Fidelity(1.0, 0.97),
    version="1.2.3",
    created="2026-01-02T03:04:05+00:00",
    settings=SETTINGS,
    control=CONTROL,
    look=Look(background="blur", shadow="cast", shadow_strength=0.5, output=Output("webp", 80)),
    canvas=Canvas(size=(1000, 800), padding=0.1, position=(0.5, 0.75)),
    placement=Placement(1000, 800, 0.5, -3.5, 12.25),
)
EXAMPLES = [
    Photo(PIXELS, MASK),
    Product(PIXELS, MASK),
    Fidelity(1.0, 0.97),
    PreparedPhoto(PIXELS, MASK),
    OpenedPhoto(PreparedPhoto(PIXELS, MASK), Product(PIXELS, MASK), ("thin",)),
    EncodedSources(b"photo", None),
    Hints(MASK, None, ((0.25, 0.5),)),
    EncodedCutOut(b"rgba", b"grey", 6, 4, (1, 0, 5, 4), 0.97, ("thin",)),
    SETTINGS,
    SETTINGS.lora,
    CONTROL,
    JOB,
    Progress(1, 16),
    GeneratedImage(PIXELS, 0.2, "demo@1", CONTROL, ("cut",)),
    FinishedImage(b"png", Fidelity(1.0, 0.97)),
    StoredImage(b"png", "image/png", "etag", datetime(2026, 1, 2, tzinfo=UTC)),
    Layout(512, RECIPE.canvas, RECIPE.placement, "image", PIXELS),
    RECIPE,
    RECIPE.look,
    RECIPE.look.output,
    RECIPE.canvas,
    RECIPE.placement,
]

examples = pytest.mark.parametrize("value", EXAMPLES, ids=lambda value: type(value).__name__)


def same(one: Any, other: Any) -> bool:
    if isinstance(one, np.ndarray):
        return bool(np.array_equal(one, other))
    if is_dataclass(one) and not isinstance(one, type):
        return all(same(getattr(one, f.name), getattr(other, f.name)) for f in fields(one))
    return bool(one == other)


def test_every_class_has_an_example():
    ours = {
        kind
        for module in (jobs, encoded, recipes, composition, loras)
        for _, kind in inspect.getmembers(module, inspect.isclass)
        if kind.__module__ == module.__name__
    }
    assert ours == {type(value) for value in EXAMPLES}


@examples
def test_it_survives_pickling(value):
    copy = pickle.loads(pickle.dumps(value))  # noqa: S301 - our own pickle
    assert type(copy) is type(value)
    for field in fields(value):
        assert same(getattr(copy, field.name), getattr(value, field.name)), field.name


@examples
def test_it_is_frozen(value):
    assert is_dataclass(value)
    for field in fields(value):
        with pytest.raises(FrozenInstanceError):
            setattr(value, field.name, None)
    # Slots: nothing can be hung on it either.
    assert not hasattr(value, "__dict__")


def test_what_holds_pixels_is_compared_and_hashed_by_identity():
    # Comparing arrays has no single truth, so an equality made of fields would raise.
    for value in (Photo(PIXELS), PreparedPhoto(PIXELS), GeneratedImage(PIXELS, 0, "w")):
        assert value == value
        assert value != pickle.loads(pickle.dumps(value))  # noqa: S301 - our own pickle
        hash(value)


def test_hints_say_whether_there_are_any():
    assert not Hints().given
    assert Hints(keep=MASK).given
    assert Hints(remove=MASK).given
    assert Hints(points=((0.5, 0.5),)).given


@pytest.mark.parametrize(
    ("steps", "strength", "left"),
    [(20, 0.8, 16), (20, 1.0, 20), (1, 0.99, 0), (1, 1.0, 1), (10, 0.19, 1), (200, 0.005, 1)],
)
def test_strength_leaves_steps_rounded_down(steps, strength, left):
    assert GenerationSettings("p", "", 0, steps, 1.0, strength).denoising_steps == left


@given(steps=st.integers(1, 200), strength=st.floats(0, 1, exclude_min=True))
def test_there_are_never_more_denoising_steps_than_steps(steps, strength):
    assert 0 <= GenerationSettings("p", "", 0, steps, 1.0, strength).denoising_steps <= steps


def test_the_document_holds_every_field_and_is_json():
    read = json.loads(json.dumps(RECIPE.document()))
    settings = GenerationSettings(**{one.name: read.pop(one.name) for one in fields(SETTINGS)})
    settings = replace(settings, lora=Lora(*read_lora(settings.lora)))
    control = ControlSettings(
        **{one.name: read.pop(f"control_{one.name}") for one in fields(CONTROL)}
    )
    output = Output(read.pop("file_format"), read.pop("quality"))
    names = [one.name for one in fields(Look) if one.name != "output"]
    look = Look(**{name: read.pop(name) for name in names}, output=output)
    canvas = read.pop("canvas")
    canvas = Canvas(
        **{
            name: tuple(value) if isinstance(value, list) else value
            for name, value in canvas.items()
        }
    )
    again = Recipe(
        **read
        | {
            "settings": settings,
            "control": control,
            "look": look,
            "canvas": canvas,
            "fidelity": Fidelity(**read["fidelity"]),
            "placement": Placement(**read["placement"]),
        }
    )
    assert again == RECIPE


def test_the_public_part_says_how_and_not_from_what():
    public = RECIPE.public()
    assert public == {
        "model": "controlnet",
        "scheduler": "dpmpp_2m",
        "fidelity": '{"pixels": 1.0, "shape": 0.97}',
        "version": "1.2.3",
        "created": "2026-01-02T03:04:05+00:00",
        "prompt": "Grün 🌿",
        "negative_prompt": "people",
        "seed": "7",
        "steps": "20",
        "guidance_scale": "7.5",
        "strength": "0.8",
        "lora": "film:0.5",
        "control_scale": "0.9",
        "control_start": "0.1",
        "control_end": "0.8",
        "background": "blur",
        "shadow": "cast",
        "shadow_strength": "0.5",
        "harmonize": "0.0",
        "file_format": "webp",
        "quality": "80",
        "canvas": '{"size": [1000, 800], "aspect": null, "padding": 0.1, "position": [0.5, 0.75]}',
        "placement": '{"width": 1000, "height": 800, "scale": 0.5, "left": -3.5, "top": 12.25}',
    }


def test_the_public_part_holds_no_key_and_no_place():
    shown = " ".join(RECIPE.public().values())
    keys = (RECIPE.source_key, RECIPE.photo_key, RECIPE.mask_key)
    for private in (RECIPE.weights, "/srv", "result", *keys):
        assert private not in shown
