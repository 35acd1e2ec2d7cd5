"""The words that people type, from the file beside this one, which says what each list is for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

_FILE = Path(__file__).with_name("english.txt")


@dataclass(frozen=True, slots=True)
class English:
    """Words in small letters, without accents but for those of `foreign`.

    The attributes are the lists of the file.
    """

    grammar: frozenset[str]
    asking: frozenset[str]
    placing: frozenset[str]
    photography: frozenset[str]
    shops: frozenset[str]
    moods: frozenset[str]
    times: frozenset[str]
    near: frozenset[str]
    shades: frozenset[str]
    people: frozenset[str]
    persons_before_model: frozenset[str]
    persons_after_model: frozenset[str]
    animals: frozenset[str]
    writing: frozenset[str]
    saying: frozenset[str]
    unseen: frozenset[str]
    products: frozenset[str]
    contents: frozenset[str]
    materials: frozenset[str]
    foreign: frozenset[str]

    @classmethod
    def bundled(cls) -> Self:
        """Read the file."""
        lists: dict[str, set[str]] = {}
        words: set[str] = set()
        for line in _FILE.read_text(encoding="utf-8").splitlines():
            if line.startswith("["):
                words = lists.setdefault(line.strip("[]"), set())
            elif not line.startswith("#"):
                words.update(line.split())
        return cls(**{name: frozenset(found) for name, found in lists.items()})

    @property
    def plain(self) -> frozenset[str]:
        """Words that name nothing to draw, or what the demo draws."""
        return (
            self.grammar
            | self.asking
            | self.placing
            | self.photography
            | self.shops
            | self.moods
            | self.times
            | self.near
        )
