"""Swagger UI at /docs: what "Try it out" sends as it stands is what the service takes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from fastapi import FastAPI
from playwright.sync_api import BrowserContext, Locator, Page

from tests.unit.ingress.memory import CATALOG, png, surface

PHOTO = {"name": "photo.png", "mimeType": "image/png", "buffer": png()}


@pytest.fixture
def docs(context: BrowserContext, serve_app: Callable[[FastAPI], str], tmp_path: Path) -> Page:
    page = context.new_page()
    page.goto(f"{serve_app(surface(tmp_path).app)}/docs")
    return page


def opened(docs: Page, path: str) -> Locator:
    """The block of a POST, ready to be sent."""
    block = docs.locator(".opblock-post").filter(has=docs.locator(f"[data-path='{path}']"))
    block.locator(".opblock-summary-control").click()
    block.get_by_role("button", name="Try it out").click()
    return block


def executed(docs: Page, block: Locator, path: str) -> dict:
    with docs.expect_response(f"**{path}") as answered:
        block.get_by_role("button", name="Execute").click()
    answer = answered.value
    assert answer.status == 200, answer.text()
    return answer.json()


def shown(block: Locator, field: str) -> str:
    row = block.locator(f"tr[data-property-name='{field}']")
    return row.locator("input[type=text], select").first.input_value()


def test_what_is_filled_in_makes_good_images(docs: Page) -> None:
    block = opened(docs, "/api/generate")
    # What the first model is configured with, and not the ends of the ranges.
    first = CATALOG[0]
    assert [float(shown(block, name)) for name in ("steps", "guidance_scale", "strength")] == [
        first.steps, first.guidance_scale, first.strength,
    ]  # fmt: skip
    assert [shown(block, name) for name in ("preset", "cutout", "background")] == ["", "", "scene"]
    block.locator("tr[data-property-name='image'] input").first.set_input_files(PHOTO)
    made = executed(docs, block, "/api/generate")
    assert (len(made["images"]), made["prompt_used"]) == (4, "Perfume backdrop")

    block = opened(docs, "/api/variation")
    body = block.locator(".body-param textarea")
    assert json.loads(body.input_value()).keys() == {"image_url", "prompt", "model", "num_images"}
    body.fill(json.dumps({**json.loads(body.input_value()), "image_url": made["images"][0]}))
    assert len(executed(docs, block, "/api/variation")["images"]) == 4


def test_a_photo_is_cut_out_without_anything_else(docs: Page) -> None:
    block = opened(docs, "/api/cutout")
    block.locator(
        ".body-param-content-type select, .opblock-section-request-body select"
    ).first.select_option("multipart/form-data")
    block.locator("tr[data-property-name='image'] input").first.set_input_files(PHOTO)
    assert executed(docs, block, "/api/cutout")["certainty"] > 0
