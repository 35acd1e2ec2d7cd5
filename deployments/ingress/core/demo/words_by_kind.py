"""Tells of each word by itself what kind it is."""

from __future__ import annotations

from enum import Enum, auto
from functools import lru_cache

from deployments.ingress.core.demo.english import English
from deployments.ingress.core.demo.spelling import (
    corrections,
    is_compound,
    is_description,
    singulars,
    stems,
)
from deployments.ingress.core.demo.vocabulary import Vocabulary

_CACHED = 4096
"""Words whose kinds are remembered."""


class Kind(Enum):
    """What a word names; PLAIN is nothing to be drawn, or what the demo draws."""

    PEOPLE = auto()
    ANIMALS = auto()
    WRITING = auto()
    PLAIN = auto()
    COLOUR = auto()
    PRODUCT = auto()
    CONTENTS = auto()
    MATERIAL = auto()
    UNKNOWN = auto()


class WordsByKind:
    """Tells the kinds of words.

    Args:
        vocabulary: That of the captions.
        english: The lists of words.
    """

    def __init__(self, vocabulary: Vocabulary, english: English) -> None:
        self._scenes = vocabulary.words
        self._shades = vocabulary.colours | english.shades
        self._plain = vocabulary.words | english.plain
        self._unseen = english.unseen
        self._products = english.products
        self._never_drawn = {
            Kind.PEOPLE: english.people,
            Kind.ANIMALS: english.animals,
            Kind.WRITING: english.writing,
        }
        self._of_shops = {
            Kind.PRODUCT: english.products,
            Kind.CONTENTS: english.contents,
            Kind.MATERIAL: english.materials,
        }
        self.kind = lru_cache(_CACHED)(self._kind)

    def is_product(self, word: str) -> bool:
        """Whether it names what shops sell, be it in the captions or not."""
        return word in self._products or not self._products.isdisjoint(singulars(word))

    def is_colour(self, word: str) -> bool:
        """Whether it names a colour."""
        return word in self._shades

    def is_drawn(self, word: str) -> bool:
        """Whether the captions hold the word itself."""
        return word in self._scenes

    def is_english(self, word: str) -> bool:
        """Whether it is in the lists or the captions, itself or as a form."""
        known = any(word in words for words in self._never_drawn.values())
        return known or (self._as_it_is(word) or self._as_a_form(word)) is not None

    def _kind(self, word: str) -> Kind:
        if len(word) < 3:
            return Kind.PLAIN
        for kind, words in self._never_drawn.items():
            if word in words:
                return kind
        if word in self._unseen or not self._unseen.isdisjoint(singulars(word)):
            return Kind.UNKNOWN
        found = self._as_it_is(word) or self._as_a_form(word) or self._misspelt(word)
        return found or (Kind.PLAIN if is_description(word) else Kind.UNKNOWN)

    def _as_it_is(self, word: str) -> Kind | None:
        if word in self._plain:
            return Kind.PLAIN
        if word in self._shades:
            return Kind.COLOUR
        return next((kind for kind, words in self._of_shops.items() if word in words), None)

    def _as_a_form(self, word: str) -> Kind | None:
        single = set(singulars(word))
        for kind, words in (self._never_drawn | self._of_shops).items():
            if not single.isdisjoint(words):
                return kind
        forms = set(stems(word))
        if not forms.isdisjoint(self._plain) or is_compound(word, self._scenes):
            return Kind.PLAIN
        # Oranges and roses are things; orange and rose are colours.
        return None if (forms - single).isdisjoint(self._shades) else Kind.COLOUR

    def _misspelt(self, word: str) -> Kind | None:
        meant = set(corrections(word)) - self._unseen - set(singulars(word))
        tried = {Kind.PLAIN: self._plain, Kind.COLOUR: self._shades, **self._of_shops}
        if len(word) > 4:
            tried |= self._never_drawn
        return next((kind for kind, words in tried.items() if not meant.isdisjoint(words)), None)
