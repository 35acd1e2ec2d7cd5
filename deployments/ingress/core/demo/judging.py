"""Decides by the text of a prompt alone what of it a demo model cannot draw."""

from __future__ import annotations

from dataclasses import dataclass

from deployments.ingress.core.demo.english import English
from deployments.ingress.core.demo.languages import is_foreign
from deployments.ingress.core.demo.part_reading import LIVING, PartReading
from deployments.ingress.core.demo.sentences import Part, Word, sentences
from deployments.ingress.core.demo.vocabulary import Vocabulary
from deployments.ingress.core.demo.words_by_kind import Kind, WordsByKind

_JOINING = ("or", "nor", "and", "any", "extra")


@dataclass(frozen=True, slots=True)
class Unseen:
    """What of a prompt a demo model cannot draw, in the words that were typed.

    Attributes:
        people: Words for people.
        animals: Words for animals.
        writing: Words for texts, logos and signs, and what is to be written.
        others: Other words that it never learned.
        foreign: The prompt is in another language than English; then the others are empty.
    """

    people: tuple[str, ...] = ()
    animals: tuple[str, ...] = ()
    writing: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    foreign: bool = False

    def __bool__(self) -> bool:
        return any((self.people, self.animals, self.writing, self.others, self.foreign))


class Judge:
    """Reads prompts.

    Args:
        vocabulary: The words of the captions.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._english = English.bundled()
        self._words = WordsByKind(vocabulary, self._english)

    def judge(self, prompt: str) -> Unseen:
        """Say what of a prompt a demo model cannot draw."""
        read = sentences(prompt)
        words = (word for parts in read for part in parts for word in part)
        if is_foreign(words, self._english.foreign, self._words.is_english):
            return Unseen(foreign=True)
        found: dict[Kind, dict[str, None]] = {}
        for parts in read:
            denied = kept = False
            for part in parts:
                denied = denied and self._is_a_list(part)
                reading = PartReading(part, self._words, self._english, denied=denied, kept=kept)
                for kind, text in reading.unseen():
                    found.setdefault(kind, {})[text] = None
                denied = reading.denied and self._is_undrawn(part[-1])
                kept = reading.kept
        told = {kind: tuple(texts) for kind, texts in found.items()}
        return Unseen(
            people=told.get(Kind.PEOPLE, ()),
            animals=told.get(Kind.ANIMALS, ()),
            writing=told.get(Kind.WRITING, ()),
            others=told.get(Kind.UNKNOWN, ()),
        )

    def _is_a_list(self, part: Part) -> bool:
        """Whether it goes on with what was denied before it: `no people, text or logos`."""
        return all(word.plain in _JOINING or self._is_undrawn(word) for word in part)

    def _is_undrawn(self, word: Word) -> bool:
        return self._words.kind(word.plain) in (*LIVING, Kind.WRITING)
