"""The table of OpenAI's parameters in docs/clients.md: each row is sent, and does what it says."""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import httpx
import pytest
from PIL import Image

from tests.documents import table
from tests.unit.ingress.memory import Surface, png
from tests.unit.ingress.test_openai_edits import events, mask

ENDPOINTS = ("edits", "variations", "generations")
TABLE = table("docs/clients.md", "### OpenAI's parameters")
FILES = {"image": png(), "mask": mask((16, 8, 24, 25)), "markup": mask()}
COMPANIONS = {
    "output_compression": {"output_format": "jpeg"},
    "partial_images": {"stream": "true"},
}
"""What a parameter is of no use without."""


@dataclass
class Sent:
    """A request that was answered.

    Attributes:
        api: The surface.
        answer: Its answer.
        value: What the parameter was.
        before: How many jobs there were.
    """

    api: Surface
    answer: httpx.Response
    value: str
    before: int

    @property
    def body(self) -> dict[str, Any]:
        return self.answer.json()

    @property
    def file(self) -> bytes:
        return base64.b64decode(self.body["data"][0]["b64_json"])

    @property
    def picture(self) -> Image.Image:
        return Image.open(BytesIO(self.file)).convert("RGB")

    @property
    def steps(self) -> int:
        return self.api.models.jobs[self.before].settings.steps


def model_of(sent: Sent) -> str:
    """The model in the recipe that the file carries."""
    return re.search(r"controlnet|stable-diffusion", str(Image.open(BytesIO(sent.file)).text))[0]


def sizes(sent: Sent) -> bool:
    wanted = "48x32" if sent.value == "auto" else sent.value
    return sent.body["size"] == wanted == "{}x{}".format(*sent.picture.size)


def completed(sent: Sent) -> bool:
    return [event["type"] for event in events(sent.answer.text)] == ["image_edit.completed"]


EFFECTS: dict[str, Callable[[Sent], bool]] = {
    "image": lambda sent: sent.picture.getpixel((24, 16)) == (20, 60, 220),
    "prompt": lambda sent: sent.api.models.jobs[-1].settings.prompt == sent.value,
    "mask": lambda sent: (
        sent.picture.getpixel((20, 16)) == (20, 60, 220) != sent.picture.getpixel((30, 16))
    ),
    "model": lambda sent: model_of(sent) == sent.value,
    "n": lambda sent: len(sent.body["data"]) == int(sent.value),
    "size": sizes,
    "response_format": lambda sent: sent.value in sent.body["data"][0],
    "output_format": lambda sent: (
        Image.open(BytesIO(sent.file)).format == sent.value.upper()
        and sent.body["output_format"] == sent.value
    ),
    "output_compression": lambda sent: len(sent.file) < COMPRESSED_BELOW[sent.value],
    "background": lambda sent: (
        (sent.body["background"] == "transparent")
        == (sent.value == "transparent")
        == (Image.open(BytesIO(sent.file)).mode == "RGBA")
    ),
    "quality": lambda sent: sent.steps == {"low": 2, "high": 6, "hd": 6}.get(sent.value, 4),
    "input_fidelity": lambda sent: sent.body["data"][0]["fidelity"]["pixels"] == 1.0,
    "moderation": lambda sent: sent.body["withheld"] == [],
    "stream": lambda sent: completed(sent) if sent.value == "true" else "data" in sent.body,
    "partial_images": completed,
}
"""What shows that a parameter is honoured."""

COMPRESSED_BELOW = {"1": 1000, "60": 1200}
"""Bytes of the file; with the default of 100 it has more."""


async def send(api: Surface, endpoint: str, parameter: str, value: str) -> Sent:
    """A request that would be right, with the parameter in it."""
    # "prompt" is not OpenAI's in variations, where this service needs one.
    fields = {"prompt": "Beach", "seed": "7", **COMPANIONS.get(parameter, {})}
    before = len(api.models.jobs)
    url = f"/v1/images/{endpoint}"
    if endpoint == "generations":
        answer = await api.client.post(url, json={**fields, parameter: value})
        return Sent(api, answer, value, before)
    files = [("image", ("photo.png", png()))]
    if value == "two files":
        files = [("image[]", ("photo.png", png()))] * 2
    elif value == "a file" and parameter != "image":
        files.append((parameter, ("file.png", FILES[parameter])))
    elif parameter == "svg":
        fields["svg[model]"] = "gpt-5"
    elif value != "a file":
        fields[parameter] = value
    answer = await api.client.post(url, data=fields, files=files)
    return Sent(api, answer, value, before)


def rows() -> list[Any]:
    """Each value of each row, for each endpoint that has it, with what the row says of it."""
    found = []
    for parameter, values, *outcomes in (row[:5] for row in TABLE):
        for value in re.findall(r"`([^`]+)`", values) or [values]:
            for endpoint, outcome in zip(ENDPOINTS, outcomes, strict=True):
                if outcome != "-":
                    name = parameter.strip("`")
                    found.append(
                        pytest.param(
                            endpoint, name, value, outcome, id=f"{endpoint}-{name}-{value}"
                        )
                    )
    return found


@pytest.mark.parametrize(("endpoint", "parameter", "value", "outcome"), rows())
async def test_a_row_is_true(api, endpoint, parameter, value, outcome):
    sent = await send(api, endpoint, parameter, value)
    if outcome == "refused":
        assert sent.answer.status_code == 400
        error = sent.body["error"]
        if endpoint == "generations":
            assert "/v1/images/edits" in error["message"]
        else:
            assert error["param"].partition("[")[0] == parameter
            assert parameter in error["message"]
        assert api.models.jobs == []
        return
    assert sent.answer.status_code == 200, sent.answer.text
    if outcome == "honoured":
        assert EFFECTS[parameter](sent), sent.answer.text[:300]
    else:
        assert outcome == "ignored"
        plain = await send(api, endpoint, "n", "1")
        assert sent.picture.tobytes() == plain.picture.tobytes()


def test_every_effect_is_of_a_row() -> None:
    honoured = {row[0].strip("`") for row in TABLE if "honoured" in row[2:5]}
    assert set(EFFECTS) == honoured


@pytest.mark.parametrize(
    ("endpoint", "kinds"),
    [
        ("edits", ["ImageEditParamsBase", "ImageEditParamsStreaming"]),
        ("variations", ["ImageCreateVariationParams"]),
        ("generations", ["ImageGenerateParamsBase", "ImageGenerateParamsStreaming"]),
    ],
)
def test_every_parameter_of_openais_package_has_a_row(endpoint, kinds) -> None:
    if "CI" not in os.environ:
        pytest.importorskip("openai")
    from openai.types import (
        image_create_variation_params,
        image_edit_params,
        image_generate_params,
    )

    known: set[str] = set()
    for module in (image_create_variation_params, image_edit_params, image_generate_params):
        for kind in kinds:
            known |= set(getattr(getattr(module, kind, None), "__annotations__", {}))
    column = 2 + ENDPOINTS.index(endpoint)
    told = {row[0].strip("`") for row in TABLE if row[column] != "-"}
    assert known - told == set()
    assert known
