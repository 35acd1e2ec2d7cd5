"""Looks and captions of rendered pictures."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from training.rendering import asking, looks, phrases
from training.rendering.kinds import KINDS, NAMES
from training.rendering.looks import Shown
from training.words import COLOUR_WORDS, COLOURS


def _facts(kind: str, **rest: Any) -> dict[str, Any]:
    seen = ["first", "second", "metal"]
    return {"kind": kind, "coloured": KINDS[kind].coloured, "seen": seen, **rest}


@pytest.mark.parametrize("kind", NAMES)
def test_every_kind_can_be_asked_for(kind: str) -> None:
    rng = np.random.default_rng(0)
    facts = _facts(kind, light="window", surface="stone", sort="slate", wall="red brick")
    texts = {asking.caption(rng, looks.choose(rng, facts)[1]) for _ in range(200)}
    assert len(texts) > 60
    assert not any("None" in t or "{" in t for t in texts)


def test_a_caption_says_no_colour_that_is_not_shown() -> None:
    rng = np.random.default_rng(1)
    known = {word for words in COLOUR_WORDS.values() for word in words} - {"dark black"}
    for _ in range(300):
        shown = Shown("podium", colour="mint", second="navy")
        text = asking.caption(rng, shown)
        said = {w for w in known if re.search(rf"\b{w}\b", text)}
        mine = {*COLOUR_WORDS["mint"], *COLOUR_WORDS["navy"]}
        assert all(any(w in m for m in mine) for w in said), text


def test_what_people_type_is_among_the_phrases() -> None:
    said = {p for many in phrases.BARE.values() for p in many}
    wanted = {"white background", "for amazon", "luxury black background with gold", "perfume"}
    assert wanted <= said
    rng = np.random.default_rng(2)
    kitchen = Shown("kitchen", surface="white_marble", sort="white")
    texts = {asking.caption(rng, kitchen) for _ in range(2000)}
    assert "marble table in a bright kitchen" in texts


def test_a_look_is_chosen_by_its_generator_and_says_what_it_gives() -> None:
    facts = _facts("arch")
    pairs = [looks.choose(np.random.default_rng(n), facts) for n in range(300)]
    assert pairs[5] == looks.choose(np.random.default_rng(5), facts)
    assert {shown.colour for _, shown in pairs} == set(COLOURS)
    assert any(look.first != look.second for look, _ in pairs)
    for look, shown in pairs:
        assert (shown.second is None) == (look.first == look.second)
        assert shown.metal is not None


def test_a_scene_in_its_own_colours_is_only_re_lit() -> None:
    for n in range(50):
        look, shown = looks.choose(np.random.default_rng(n), _facts("kitchen", light="soft"))
        assert shown.colour is None
        assert shown.metal is None
        assert shown.shadow is None
        assert look.first == looks.Look().first


@pytest.mark.parametrize("kind", ["white_studio", "night_city", "sunset_sea"])
def test_a_scene_that_lives_by_its_light_keeps_it(kind: str) -> None:
    for n in range(50):
        look, shown = looks.choose(np.random.default_rng(n), _facts(kind))
        assert shown.light is None
        assert look.tint == (1.0, 1.0, 1.0)
