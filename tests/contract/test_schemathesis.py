"""What /openapi.json promises, tried on the surface in memory by requests generated from it.

The document is read while pytest collects, so the surfaces stand at module level.
"""

from __future__ import annotations

import asyncio
import atexit
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import strategies as st
from schemathesis.config import SchemathesisConfig
from schemathesis.transport.serialization import Binary

from deployments.ingress.http.api_keys import KeyRing
from deployments.ingress.http.openai.failures import NAMES
from deployments.ingress.http.paging import cursor_of
from deployments.settings import IngressSettings
from deployments.webhook_settings import WebhookSettings
from tests.unit.ingress.memory import CATALOG, Surface, key_of, png, surface
from tests.unit.ingress.test_cutouts import cut, strokes
from tests.unit.ingress.test_openai_edits import mask

KEY = "contract-key-51c2"
CONFIG = {
    "seed": 2,
    # A busy machine takes longer than the default.
    "request-timeout": 120,
    "generation": {
        "deterministic": True,
        "max-examples": 25,
        "database": "none",
        # Made-up keys beside the right one would say nothing: the right one counts. The check
        # `ignored_auth` tries each request without a key and with wrong ones by itself.
        "with-security-parameters": False,
    },
    # Tighter than the default, which takes a 404, a 429 or a 500 for an acceptance.
    "checks": {"positive_data_acceptance": {"expected-statuses": ["200", "202", "204"]}},
    "operations": [
        # A job, or a page, that nobody has made is not there.
        {
            "include-path": ["/api/jobs", "/api/jobs/{job}"],
            "checks": {"positive_data_acceptance": {"enabled": False}},
        },
    ],
}
# Its own bytes of a file cannot be validated when it filters wrong bodies.
schemathesis.openapi.format("binary", st.binary().map(lambda data: data.decode("latin-1")))
FACADE = "/v1/images/"
PHOTO = Binary(png())
CLEAR_AROUND = Binary(mask())
MASK = Binary(png(colour=(0, 0, 0), product=(255, 255, 255)))
FREE_TEXT = ("prompt", "negative_prompt", "user", "safety_identifier")
OF_A_PRODUCT = ("padding", "product_position", "shadow", "shadow_strength", "harmonize")
STROKES = {
    "keep": Binary(png(colour=(0, 0, 0), product=(255, 255, 255))),
    "remove": Binary(strokes((0, 0, 48, 2))),
}
FORMATS = {"png": "png", "jpg": "jpeg", "webp": "webp", "json": "png"}
RESULTS: dict[str, str] = {}
"""By the ending of its URL, the key of a result."""
CUTOUTS: dict[int, str] = {}
"""One of each surface, by its `id`: a cut-out is its API key's own."""
FOLDER = Path(tempfile.mkdtemp(prefix="backdrop-contract-"))
atexit.register(shutil.rmtree, FOLDER, ignore_errors=True)
SETTINGS = IngressSettings(webhooks=WebhookSettings(hosts=["hooks.shop.example"]))
OPEN = surface(FOLDER, SETTINGS)
KEYED = surface(FOLDER, SETTINGS, keys=KeyRing({"test": KEY}))


def make_possible(case: schemathesis.Case, made: Surface) -> None:
    """Give a request what no schema can describe: a photo that decodes, a result that exists.

    The invalid requests get it too, so that what they are refused for is what is wrong with them.
    """
    # Read first: it follows what is changed below.
    valid = case.meta.generation.mode.is_positive
    if "key" in case.path_parameters and valid:
        # What is deleted is gone for the next request.
        cuts = case.path.startswith("/cutouts/")
        ending = case.path.rpartition(".")[2]
        stored = CUTOUTS[id(made)] if cuts else RESULTS[ending]
        if case.method == "DELETE":
            stored = asyncio.run(stored_cutout(made) if cuts else stored_key(OPEN, ending))
        case.path_parameters["key"] = stored
    if valid and case.query.get("cursor") is not None:
        # It has to be of an earlier page.
        case.query["cursor"] = cursor_of(RESULTS["png"])
    if valid and case.headers is not None:
        # A shorter deadline may pass, and one key with another body is a conflict: both rightly.
        for name in ("X-Deadline-Seconds", "Idempotency-Key"):
            case.headers.pop(name, None)
    if case.headers is not None and is_short(case.headers.get("X-Deadline-Seconds")):
        # Rightly passed, whatever else is wrong with the request.
        del case.headers["X-Deadline-Seconds"]
    body = case.body
    if not isinstance(body, dict):
        return
    if isinstance(body.get("image"), str | bytes):
        body["image"] = PHOTO
    if isinstance(body.get("product_mask"), str | bytes):
        body["product_mask"] = MASK
    if isinstance(body.get("mask"), str | bytes):
        body["mask"] = CLEAR_AROUND
    for name, file in STROKES.items():
        if isinstance(body.get(name), str | bytes):
            body[name] = file
    if not valid and case.media_type == "multipart/form-data":
        # All of a form is text: one which happens to be a number is one, and an empty one is a
        # field left open. What the schema calls a wrong type has to be a wrong text.
        for name, value in body.items():
            if isinstance(value, str) and name not in FREE_TEXT:
                body[name] = f"{value}?"
    if isinstance(body.get("image_url"), str):
        body["image_url"] = f"/generated/{RESULTS['png']}.png"
    if valid and body.get("callback_url"):
        # It is of a job, and its host is one that is allowed.
        body["callback_url"] = "https://hooks.shop.example/"
        case.headers = {**(case.headers or {}), "Prefer": "respond-async"}
    if valid and isinstance(body.get("cutout"), str):
        body["cutout"] = CUTOUTS[id(made)]
    if valid and case.path == "/api/cutout":
        of_one_source(body, form=case.media_type == "multipart/form-data")
    elif valid:
        if case.path.startswith(FACADE):
            as_generate(body)
        of_one_look(body, form=case.media_type == "multipart/form-data")
        # What is white space differs between the pattern's dialect and ours.
        if not (body.get("prompt") or "").strip():
            body["prompt"] = "forest"
        body["model"] = body.get("model") or CATALOG[0].id
        # One model takes fewer steps than the other, and at least one step must be left to take.
        model = next(model for model in CATALOG if model.id == body["model"])
        steps = body.get("steps") or model.steps
        body["steps"] = min(steps, model.max_steps)
        body["strength"] = max(body.get("strength") or model.strength, 1 / body["steps"])
        photographed = case.path == "/api/generate" or case.path.startswith(FACADE)
        if photographed and "cutout" not in body:
            body["image"] = PHOTO
        if body.get("cutout"):
            body.pop("product_mask", None)
        if case.path.startswith(FACADE):
            as_openai(body)


def is_short(seconds: object) -> bool:
    """Whether this is a deadline that may pass while a request is served."""
    try:
        return 0 < float(str(seconds)) < 60
    except ValueError:
        return False


def of_one_source(body: dict[str, Any], form: bool) -> None:
    """Leave one of the sources of a cut-out, and what may be sent with it."""
    sources = [name for name in ("cutout", "image_url", "image") if body.get(name) is not None]
    for name in sources[1:]:
        del body[name]
    if not sources:
        body.update({"image": PHOTO} if form else {"image_url": f"/generated/{RESULTS['png']}.png"})
    if body.get("point") is not None:
        body["point"] = "0.5,0.5"
    if {"cutout", "keep", "remove", "point"} & body.keys():
        body.pop("product_mask", None)


def as_generate(body: dict[str, Any]) -> None:
    """The façade's fields by the names of POST /api/generate, and without what contradicts."""
    for ours, theirs in NAMES.items():
        if theirs in body:
            body[ours] = body.pop(theirs)
    if body.get("background") in ("auto", "opaque"):
        body["background"] = "scene"
    if "mask" in body:
        body["product_mask"] = body.pop("mask")
    if body.get("preserve_product") in ("false", False):
        body.pop("input_fidelity", None)
    body["quality"] = "auto"  # steps are given below


def as_openai(body: dict[str, Any]) -> None:
    """The same fields by their names in the façade."""
    for ours, theirs in NAMES.items():
        if ours in body:
            body[theirs] = body.pop(ours)
    if body.pop("product_mask", None) is not None:
        body["mask"] = CLEAR_AROUND


def of_one_look(body: dict[str, Any], form: bool) -> None:
    """Leave what goes together of the picture around the product, with room for the product."""
    body.pop("preset", None)
    for name in ("style_image", "lora"):  # no model of the catalog takes one
        body.pop(name, None)
    if body.get("background") == "image" and not form:  # the file
        body["background"] = "blur"
    plain = body.get("background") not in (None, "", "scene")
    if body.get("background") == "image":
        body["background_image"] = PHOTO
    else:
        body.pop("background_image", None)
    if plain:
        body.pop("num_images", None)
    if body.get("size") not in (None, "", "auto"):
        body["size"] = "96x64"
        body.pop("aspect_ratio", None)
    elif body.get("aspect_ratio") not in (None, "", "auto"):
        body["aspect_ratio"] = "4:5"
    if body.get("padding") not in (None, ""):
        body["padding"] = "0.1" if isinstance(body["padding"], str) else 0.1
    if "," in str(body.get("product_position")):
        body["product_position"] = "0.5,0.5"
    if body.get("background") == "transparent":
        body.pop("harmonize", None)
        if body.get("output_format") == "jpeg":
            body["output_format"] = "webp"
    if body.get("output_format") in (None, "", "png"):
        body.pop("output_quality", None)
    if body.get("shadow") == "none" or (plain and body.get("shadow") in (None, "")):
        body.pop("shadow_strength", None)
    if body.get("preserve_product") in ("false", False):
        if plain or body.get("cutout") or "product_mask" in body:
            body["preserve_product"] = "auto"
        else:
            for name in OF_A_PRODUCT:
                body.pop(name, None)


async def stored_key(made: Surface, ending: str) -> str:
    """Make a result whose URL ends so, and give its key."""
    made_as = await made.generate(num_images=1, output_format=FORMATS[ending])
    return key_of(made_as.json()["images"][0])


async def stored_cutout(made: Surface) -> str:
    """Make a cut-out of the result's photo, and give its key."""
    url, headers = f"/generated/{RESULTS['png']}.png", {"X-API-Key": KEY}
    return (await cut(made, image_url=url, headers=headers)).json()["cutout"]


def contract(made: Surface) -> Any:
    config = SchemathesisConfig.from_dict(CONFIG)
    return schemathesis.openapi.from_asgi("/openapi.json", made.app, config=config)


open_contract, keyed_contract = contract(OPEN), contract(KEYED)


@pytest.fixture(scope="module", autouse=True)
def _result() -> None:
    for ending in FORMATS:
        RESULTS[ending] = asyncio.run(stored_key(OPEN, ending))
    for made in (OPEN, KEYED):
        CUTOUTS[id(made)] = asyncio.run(stored_cutout(made))


@open_contract.parametrize()
def test_the_open_surface_is_as_documented(case: schemathesis.Case) -> None:
    make_possible(case, OPEN)
    case.call_and_validate()


@keyed_contract.parametrize()
def test_the_surface_with_keys_is_as_documented(case: schemathesis.Case) -> None:
    make_possible(case, KEYED)
    case.call_and_validate(headers={"X-API-Key": KEY})
