"""Answers of demo models warn of what these cannot draw, and those of other models do not."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from deployments.composition import Look
from deployments.ingress.core.demo.vocabulary import Vocabulary
from deployments.ingress.core.demo.warnings import ENGLISH_ONLY, DemoWarnings
from deployments.ingress.core.orders import Order
from deployments.settings import ModelSettings
from tests.unit.ingress.background import at_work, settings, submitted, until_over
from tests.unit.ingress.memory import CATALOG, surface
from tests.unit.ingress.test_openai_edits import edit

DEMO = ModelSettings(id="demo-model", name="Demo")
REAL = ModelSettings(id="real", name="Real weights", weights="/weights")
KLEIN = ModelSettings(id="klein", name="FLUX.2 klein", family="flux2", weights="/klein")
HOW = "docs/models.md tells whoever runs this service how to add one"
NO_PEOPLE = (
    'prompt: this small demo model draws no people ("human"); a model that edits photos does, such '
    f"as FLUX.2 klein: {HOW}"
)


def told(prompt: str, *others: ModelSettings, model: str | None = DEMO.id) -> tuple[str, ...]:
    return DemoWarnings((*others, DEMO)).of(Order(model, prompt, 1))


@pytest.mark.parametrize(
    ("prompt", "others", "warning"),
    [
        ("Add AI human", (), NO_PEOPLE),
        (
            "Add AI human",
            (REAL, KLEIN),
            "prompt: this small demo model draws no people (\"human\"); choose model 'klein' "
            "(FLUX.2 klein) for that",
        ),
        ("Add AI human", (REAL,), NO_PEOPLE),
        (
            "a spaceship over the beach",
            (REAL,),
            "prompt: this small demo model has never seen \"spaceship\"; choose model 'real' (Real "
            "weights) for that",
        ),
        (
            "Eiffel tower, Big Ben, volcano, igloo, lions, a woman, write SALE",
            (),
            'prompt: this small demo model draws no people ("woman"), no animals ("lions"), no '
            'writing or logos ("SALE") and has never seen "Eiffel", "Ben", "volcano" and 1 more; a '
            f"model that edits photos does, such as FLUX.2 klein: {HOW}",
        ),
        (
            "on the moon",
            (),
            'prompt: this small demo model has never seen "moon"; larger models know more: ' + HOW,
        ),
        ("fond blanc", (REAL,), ENGLISH_ONLY),
    ],
)
def test_one_sentence_says_what_is_not_drawn_and_what_would_draw_it(prompt, others, warning):
    assert told(prompt, *others) == (warning,)


def test_long_words_are_cut():
    (warning,) = told("x" * 2000)
    assert len(warning) < 200


def test_nothing_is_said_where_no_demo_model_paints():
    assert told("Add AI human", REAL, model="real") == ()
    assert DemoWarnings((REAL,)).of(Order("real", "Add AI human", 1)) == ()
    assert DemoWarnings((DEMO,)).of(Order(None, "Add AI human", 1)) == ()
    plain = Order(DEMO.id, "Add AI human", 1, look=Look(background="transparent"))
    assert DemoWarnings((DEMO,)).of(plain) == ()
    assert DemoWarnings((DEMO,)).of(Order(DEMO.id, "beach", 1, negative_prompt="people")) == ()


def test_the_words_of_the_weights_must_be_there(monkeypatch, tmp_path):
    missing = tmp_path / "vocabulary.json"
    monkeypatch.setattr("deployments.ingress.core.demo.vocabulary._FILE", missing)
    with pytest.raises(FileNotFoundError, match=r"\(vocabulary.json\) are missing"):
        DemoWarnings((DEMO,))
    assert DemoWarnings((REAL,)).of(Order("real", "a dog", 1)) == ()


async def test_every_way_to_make_images_tells_of_it(tmp_path):
    api = surface(tmp_path, settings(), catalog=(*CATALOG, REAL))
    async with api.client, at_work(api):
        first = (await api.generate(prompt="Add AI human", num_images=2)).json()
        assert first["warnings"] == [NO_PEOPLE]
        varied = await api.vary(first["images"][0], prompt="a dog beside it", num_images=1)
        (warning,) = varied.json()["warnings"]
        assert 'draws no animals ("dog")' in warning
        job = await until_over(api, await submitted(api, prompt="Add AI human"))
        assert job["answer"]["warnings"] == [NO_PEOPLE]
        assert (await edit(api, prompt="Add AI human")).json()["warnings"] == [NO_PEOPLE]
        streamed = await edit(api, prompt="Add AI human", stream="true")
        assert "draws no people" in streamed.text


async def test_other_weights_and_negative_prompts_are_not_warned_of(tmp_path):
    api = surface(tmp_path, catalog=(*CATALOG, REAL))
    async with api.client:
        real = await api.generate(prompt="Add AI human", num_images=1, model="real")
        assert (real.status_code, real.json()["warnings"]) == (200, [])
        without = await api.generate(num_images=1, negative_prompt="people, dogs, text")
        assert without.json()["warnings"] == []
        plain = await api.generate(prompt="Add AI human", background="transparent")
        assert not any("demo" in text for text in plain.json()["warnings"])


def test_the_bundled_words_are_those_of_english_captions():
    bundled = Vocabulary.bundled()
    assert {"forest", "marble", "podium", "meadow"} <= bundled.words
    assert {"lilac", "gold"} <= bundled.colours


def test_the_prompts_that_a_page_suggests_are_not_warned_of():
    path = Path(__file__).parents[3] / "serve_config.yaml"
    config = yaml.safe_load(path.read_text(encoding="utf-8"))["applications"][0]["args"]
    models = [ModelSettings.model_validate(model) for model in config["models"]]
    prompts = [(model.id, prompt) for model in models for prompt in model.starter_prompts]
    assert prompts
    told = {prompt: DemoWarnings(models).of(Order(id_, prompt, 1)) for id_, prompt in prompts}
    assert not any(told.values()), told
