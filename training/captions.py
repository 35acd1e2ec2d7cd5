"""Captions: one of the many ways in which people ask for a picture.

Makes a text of a Spec, from the tables of words.py.
"""

from dataclasses import dataclass

import numpy as np

from training.canvas import Rng
from training.words import BARE, COLOUR_WORDS, LIGHTS, PHRASES, TEMPLATES


@dataclass(frozen=True)
class Spec:
    """What a picture shows: its scene and, where it has them, its colour and its light."""

    scene: str
    colour: str | None = None
    light: str | None = None


def pick(rng: Rng, choices: tuple[str, ...]) -> str:
    """One of the choices, each as likely."""
    return choices[int(rng.integers(len(choices)))]


def typo(rng: Rng, text: str) -> str:
    """The text with a letter dropped or two swapped."""
    at = int(rng.integers(len(text)))
    if rng.random() < 0.5:
        return text[:at] + text[at + 1 :]
    return text[:at] + text[at : at + 2][::-1] + text[at + 2 :]


def caption(rng: Rng, spec: Spec) -> str:
    """One way to ask for a picture: a phrase in a template, with its light, in any case of letters.

    One in twenty captions has a letter dropped or two swapped, as typed text has.
    """
    if spec.colour is None or (spec.scene in BARE and rng.random() < 0.2):
        phrase = pick(rng, BARE.get(spec.scene, PHRASES[spec.scene]))
    else:
        word = (
            pick(rng, COLOUR_WORDS[spec.colour])
            if rng.random() < 0.5
            else COLOUR_WORDS[spec.colour][0]
        )
        phrase = pick(rng, PHRASES[spec.scene]).format(c=word)
    if spec.light is not None and rng.random() < 0.85:
        word = pick(rng, LIGHTS[spec.light])
        phrase = f"{word} {phrase}" if rng.random() < 0.4 else f"{phrase}, {word}"
    text = pick(rng, TEMPLATES).format(phrase)
    if rng.random() < 0.05:
        text = typo(rng, text)
    return text


def corpus(seed: int, count: int, specs: list[Spec]) -> list[str]:
    """Captions to learn the tokenizer's vocabulary from: every phrase, then `count` random ones."""
    rng = np.random.default_rng(seed)
    fixed = [p.format(c="") for phrases in (*PHRASES.values(), *BARE.values()) for p in phrases]
    fixed += [word for words in COLOUR_WORDS.values() for word in words]
    fixed += [word for words in LIGHTS.values() for word in words] + list(TEMPLATES)
    return fixed + [caption(rng, specs[int(rng.integers(len(specs)))]) for _ in range(count)]
