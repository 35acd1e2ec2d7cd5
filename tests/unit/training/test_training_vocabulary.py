"""The words of the captions, by which the service knows what the weights have never seen."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from deployments.ingress.core.demo.judging import Judge, Unseen
from deployments.ingress.core.demo.vocabulary import Vocabulary
from training import start, vocabulary
from training.prompts import HELD_OUT
from training.rendering import asking, looks
from training.rendering.kinds import KINDS, NAMES

_KEPT = start.FOLDER / vocabulary.NAME


@pytest.fixture(scope="module")
def judge() -> Judge:
    return Judge(Vocabulary.read(_KEPT))


def test_the_words_of_the_captions_are_kept_beside_the_weights() -> None:
    kept = json.loads(_KEPT.read_text())
    told = f"run {kept['written_by']} --demo deployments/diffusion/demo"
    assert {name: kept[name] for name in ("colours", "words")} == vocabulary.collect(), told


def test_it_is_written_to_the_folder_that_is_named(tmp_path) -> None:
    assert vocabulary.write(tmp_path) == tmp_path / "vocabulary.json"
    assert (tmp_path / "vocabulary.json").read_text() == _KEPT.read_text()


@pytest.mark.parametrize("kind", NAMES)
def test_every_word_of_a_caption_is_among_them(kind, judge, monkeypatch) -> None:
    monkeypatch.setattr(asking, "typo", lambda _, text: text)
    rng = np.random.default_rng(0)
    seen = ["first", "second", "metal"]
    facts = {"kind": kind, "coloured": KINDS[kind].coloured, "seen": seen, "light": "window"}
    facts |= {"surface": "stone", "sort": "slate", "wall": "red brick"}
    known = {word for found in vocabulary.collect().values() for word in found}
    for _ in range(100):
        text = asking.caption(rng, looks.choose(rng, facts)[1])
        assert set(re.findall("[a-z]+", text.lower())) <= known, text
        assert judge.judge(text) == Unseen(), text


@pytest.mark.parametrize("kind", HELD_OUT)
def test_askings_kept_out_of_training_are_not_warned_of(kind, judge) -> None:
    for text in HELD_OUT[kind]:
        assert judge.judge(text) == Unseen(), text


def test_a_wrong_letter_is_forgiven(judge) -> None:
    rng = np.random.default_rng(0)
    said = "white marble countertop with purple background"
    # A letter that changes places with a space makes two words into others.
    typed = [asking.typo(rng, said) for _ in range(300)]
    whole = [text for text in typed if [*map(bool, text.split(" "))] == [True] * 6]
    wrong = [text for text in whole if judge.judge(text)]
    assert len(wrong) <= 0.15 * len(whole), wrong
