"""Captions of rendered pictures: one of the many ways in which people ask for them."""

from training import words
from training.rendering import phrases
from training.rendering.looks import Shown
from training.rendering.scene import Rng


def pick(rng: Rng, choices: tuple[str, ...]) -> str:
    """One of the choices, each as likely."""
    return choices[int(rng.integers(len(choices)))]


def typo(rng: Rng, text: str) -> str:
    """The text with a letter dropped or two swapped."""
    at = int(rng.integers(len(text)))
    if rng.random() < 0.5:
        return text[:at] + text[at + 1 :]
    return text[:at] + text[at : at + 2][::-1] + text[at + 2 :]


def _colour(rng: Rng, name: str) -> str:
    return pick(rng, words.COLOUR_WORDS[name]) if rng.random() < 0.5 else name


def _scene(rng: Rng, shown: Shown) -> str:
    bare = phrases.BARE.get(shown.kind, words.PHRASES.get(shown.kind))
    surface = pick(rng, phrases.SURFACES.get(shown.sort or "", ("",)))
    if shown.kind in ("kitchen", "bathroom"):
        surface = pick(rng, phrases.SURFACES[shown.surface or "wood"])
    slots = {"s": surface, "w": shown.wall or ""}
    if shown.colour is None or (bare is not None and rng.random() < 0.15):
        if bare is None:
            raise ValueError(f"kind {shown.kind} has no phrases")
        return pick(rng, bare).format(**slots)
    text = pick(rng, phrases.COLOURED[shown.kind])
    return text.format(c=_colour(rng, shown.colour), **slots)


def caption(rng: Rng, shown: Shown) -> str:
    """One way to ask for a picture; never says what it does not show.

    One in twenty captions has a letter dropped or two swapped, as typed text has.
    """
    text = _scene(rng, shown)
    if rng.random() < 0.15:  # as lists of words are typed
        text = f"{text}{pick(rng, (', ', ' ', ' with ', ', behind it '))}{_scene(rng, shown)}"
    far = shown.kind in words.PHRASES and shown.kind not in phrases.COLOURED
    if far and shown.surface in phrases.SURFACES and rng.random() < 0.3:
        table = pick(rng, phrases.TABLES).format(s=pick(rng, phrases.SURFACES[shown.surface]))
        text = f"{table}, {text}" if rng.random() < 0.5 else f"{text}, {table}"
    if shown.second is not None and rng.random() < 0.4:
        text = f"{text} {pick(rng, ('and', 'with'))} {_colour(rng, shown.second)}"
    if shown.metal is not None and rng.random() < 0.4:
        text = f"{text} with {shown.metal}"
    own = shown.kind in ("window_light", "leaf_shadows")
    if shown.shadow is not None and not own and rng.random() < 0.5:
        text = f"{text}, {pick(rng, phrases.SHADOWS[shown.shadow])}"
    if shown.light is not None and rng.random() < 0.85:
        word = pick(rng, words.LIGHTS[shown.light])
        text = f"{word} {text}" if rng.random() < 0.4 else f"{text}, {word}"
    text = pick(rng, words.TEMPLATES).format(text)
    return typo(rng, text) if rng.random() < 0.05 else text
