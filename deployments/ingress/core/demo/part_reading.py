"""Reads a part of a prompt: which of its words ask for what a demo model cannot draw."""

from __future__ import annotations

from collections.abc import Iterator

from deployments.ingress.core.demo.english import English
from deployments.ingress.core.demo.sentences import Part, Word
from deployments.ingress.core.demo.words_by_kind import Kind, WordsByKind


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


LIVING = (Kind.PEOPLE, Kind.ANIMALS)

_BEFORE_A_PRODUCT = (*LIVING, Kind.CONTENTS, Kind.MATERIAL, Kind.COLOUR)
_FARTHEST = 3
"""Words between what a product is of and the product: `men's black leather wallet`."""

_DENYING = _words(
    "no without not never avoid remove delete erase hide minus exclude don't dont doesn't replace "
    "instead than less fewer"
)
_RESUMING = _words(
    "but with on onto in into at before behind only just add put make place show use change "
    "include insert give"
)
_KEEPING = _words(
    "keep preserve maintain retain unchanged intact readable legible visible sharp original same "
    "protect untouched"
)
_ADDING = _words("add adding include including insert write print put")
_BEFORE_AN_ADDED_THING = _words(
    "add adding include including insert on onto in inside into beside near behind holding under "
    "around by next"
)
_BESIDE = _words("beside near nearby next around behind")
_ARTICLES = _words("a an some another two three several few more extra")
_OWN = _words("my our this these your")
_DIRECTIONS = _words("left right up down forward front camera toward towards away me us")
_ROOMS = _words("room bedroom kitchen bathroom office house home")


class PartReading:
    """A part of a prompt as it is read.

    Attributes:
        denied: What comes is not wanted, as at the end of `no people`.
        kept: What comes is in the photo already, as at the end of `keep the logo`.

    Args:
        part: The words.
        words: Tells their kinds.
        english: The lists of words.
        denied: As it was at the end of the part before, where this one goes on with it.
        kept: The same, within a sentence.
    """

    def __init__(
        self, part: Part, words: WordsByKind, english: English, *, denied: bool, kept: bool
    ) -> None:
        self._part = part
        self._words = words
        self._english = english
        self._plain = [word.plain for word in part]
        self._kinds = [words.kind(word.plain) for word in part]
        self.denied = denied
        self.kept = (kept or not _KEEPING.isdisjoint(self._plain)) and _ADDING.isdisjoint(
            self._plain
        )

    def unseen(self) -> Iterator[tuple[Kind, str]]:
        """Each thing that cannot be drawn, with its kind; neighbours of a kind are one."""
        run: list[str] = []
        running = Kind.PLAIN
        for at, word in enumerate(self._part):
            self._hear(word.plain)
            said = word.plain in self._english.saying and not self.denied
            kind = Kind.PLAIN if self.denied or said else self._unseen(at, word)
            if run and kind is not running:
                yield running, " ".join(run)
                run = []
            if kind is not Kind.PLAIN:
                run.append(word.typed)
            running = kind
            if said:
                if text := self._part[at + 1 :]:
                    yield Kind.WRITING, " ".join(each.typed for each in text)
                return
        if run:
            yield running, " ".join(run)

    def _hear(self, word: str) -> None:
        if self.denied and word in _RESUMING:
            self.denied = False
        if word in _DENYING:
            self.denied = True

    def _unseen(self, at: int, word: Word) -> Kind:
        """The kind of a thing that is asked for and cannot be drawn; PLAIN for all else."""
        kind = self._kinds[at]
        if word.quoted:
            named = len(self._part) == 1 or (at > 0 and self._is_product(at - 1))
            return Kind.PLAIN if self.kept or named else Kind.WRITING
        if word.plain in ("model", "models"):
            return Kind.PEOPLE if self._is_a_person(at) else Kind.PLAIN
        if kind is Kind.WRITING:
            excused = self.kept or self._next(at) == "free" or self._is_for(at)
            return Kind.PLAIN if excused else kind
        if kind in LIVING:
            if self._next(at) in _ROOMS:
                return Kind.UNKNOWN
            turned = word.plain == "face" and self._next(at) in _DIRECTIONS
            excused = turned or self._is_of_a_product(at) or self._is_for(at)
            return Kind.PLAIN if excused else kind
        if kind is Kind.PRODUCT:
            return Kind.UNKNOWN if self._is_added(at) else Kind.PLAIN
        if kind in (Kind.CONTENTS, Kind.MATERIAL, Kind.UNKNOWN):
            return Kind.PLAIN if self._is_the_product(at) else Kind.UNKNOWN
        return Kind.PLAIN

    def _next(self, at: int) -> str:
        return self._plain[at + 1] if at + 1 < len(self._plain) else ""

    def _after(self, at: int) -> range:
        return range(at + 1, min(len(self._part), at + 2 + _FARTHEST))

    def _is_product(self, at: int) -> bool:
        return self._words.is_product(self._plain[at])

    def _is_a_person(self, at: int) -> bool:
        before = self._plain[max(0, at - 2) : at]
        return (
            self._plain[at] == "models"
            or not self._english.persons_before_model.isdisjoint(before[-1:])
            or self._next(at) in self._english.persons_after_model
            or before == ["on", "a"]
        )

    def _is_of_a_product(self, at: int) -> bool:
        """`dog collar`, `men's leather wallet`, `baby pink`, `hands-free`."""
        if self._next(at) == "free" or self._words.is_colour(self._next(at)):
            return True
        for place in self._after(at):
            if self._is_product(place) or self._kinds[place] is Kind.CONTENTS:
                return True
            if self._kinds[place] not in _BEFORE_A_PRODUCT:
                return False
        return False

    def _is_for(self, at: int) -> bool:
        """`a toy for kids`, `space for a headline`."""
        return "for" in self._plain[max(0, at - 2) : at]

    def _is_the_product(self, at: int) -> bool:
        """`Nike sneaker`, `jar of honey`, `my croissants`, and `coffee on a table`."""
        for place in self._after(at):
            if self._plain[place] in self._english.grammar:
                break
            if self._is_product(place):
                return not self._is_added(place)
        for place in range(at - 1, max(-1, at - 1 - _FARTHEST), -1):
            word = self._plain[place]
            if word in _OWN:
                return True
            if word == "of" and place and self._is_product(place - 1):
                return not self._is_added(place - 1)
            if word in self._english.grammar:
                break
        first = self._english.grammar.isdisjoint(self._plain[:at])
        return (
            first and self._kinds[at] is Kind.CONTENTS and self._next(at) in self._english.grammar
        )

    def _is_added(self, at: int) -> bool:
        """`add a vase`, `on a chair`, `a cup next to it`: it is to be drawn, then."""
        if self._words.is_drawn(self._plain[at]):
            return False
        start = at
        while start and self._plain[start - 1] not in self._english.grammar:
            start -= 1
        if not start or self._plain[start - 1] not in _ARTICLES:
            return False
        asked = self._plain[max(0, start - 2) : start - 1]
        beside = not _BESIDE.isdisjoint(self._plain[at + 1 :])
        return beside or not _BEFORE_AN_ADDED_THING.isdisjoint(asked)
