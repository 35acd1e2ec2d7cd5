"""Forms and misspellings of English words, roughly."""

from __future__ import annotations

import string
from collections.abc import Container, Iterator

_ENDINGS = (
    ("ies", ("y",)),
    ("es", ("",)),
    ("s", ("",)),
    ("ied", ("y",)),
    ("ed", ("", "e")),
    ("ing", ("", "e")),
    ("ily", ("y",)),
    ("ly", ("",)),
    ("ier", ("y",)),
    ("iest", ("y",)),
    ("er", ("", "e")),
    ("en", ("", "e")),
    ("est", ("", "e")),
    ("ish", ("", "e")),
    ("y", ("", "e")),
    ("ness", ("",)),
    ("less", ("",)),
)
_PLURALS = 3
_SHORTEST = 3
"""Letters of a word without its ending, at least."""


def singulars(word: str) -> Iterator[str]:
    """What a word may be the plural of."""
    return _without(word, _ENDINGS[:_PLURALS])


def stems(word: str) -> Iterator[str]:
    """What a word may be a form of."""
    yield from _without(word, _ENDINGS)
    yield from (word + "s", word + "es")
    for ending in ("ed", "ing", "er", "est", "y"):
        bare = word.removesuffix(ending)
        if bare != word and len(bare) > _SHORTEST and bare[-1] == bare[-2]:
            yield bare[:-1]


def _without(word: str, endings: tuple[tuple[str, tuple[str, ...]], ...]) -> Iterator[str]:
    for ending, instead in endings:
        bare = word.removesuffix(ending)
        if bare != word and len(bare) >= _SHORTEST:
            yield from (bare + letters for letters in instead)


_DESCRIBING = (
    *("ance", "ence", "ness", "ity", "ism", "ive", "ful", "ous", "able", "ible", "ly"),
    *("ing", "ed"),
)
_LONG = 6


def is_description(word: str) -> bool:
    """Whether its ending is that of words for qualities and for what is done, not for things."""
    return len(word) >= _LONG and word.endswith(_DESCRIBING)


def is_compound(word: str, known: Container[str]) -> bool:
    """Whether it is two known words in one, as sandstone is."""
    cuts = range(_SHORTEST, len(word) - _SHORTEST + 1)
    return any(word[:cut] in known and word[cut:] in known for cut in cuts)


def corrections(word: str) -> Iterator[str]:
    """What a word may be a misspelling of: one letter lost, added, changed or two swapped.

    No first letter is added or changed, as it seldom is in misspellings. Of the short words, those
    of four letters have lost another letter than the first or have two swapped, and those of three
    have two swapped.
    """
    if len(word) > 4:
        yield from (letter + word for letter in string.ascii_lowercase)
    for cut in range(len(word) - 1):
        yield word[:cut] + word[cut + 1] + word[cut] + word[cut + 2 :]
    for cut in range(1, len(word) + 1):
        head, tail = word[:cut], word[cut:]
        if len(word) > 3:
            yield from (head + letter + tail for letter in string.ascii_lowercase)
        if len(word) > 4 and tail:
            yield head + tail[1:]
            yield from (head + letter + tail[1:] for letter in string.ascii_lowercase)
