"""Cuts a prompt into parts, and its parts into words."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from itertools import islice

_SKIPPED = re.compile(
    r"\b(?:(?:copy|negative|empty|white|blank|more|some|enough|leave|office|living|work"
    r"|bathroom|kitchen|loft|studio|interior|indoor|outdoor) space|(?:coffee|bedside) (?=table)"
    r"|space (?=for|on|at|to|above|around|beside|between)|room (?=for)|depth of field"
    r"|(?:bird|fish|bull|worm)'?s?[ -]?eye|head[ -]on|rule of thirds|(?:king|queen|family)[ -]size"
    r"|(?:left|right)[ -]hand|portrait (?:format|orientation|mode|size|layout|lens|lighting|ratio)"
    r"|for sale|on sale|by hand|hand[ -](?:made|crafted|picked)|man[ -]made|couple of|stock photo"
    r"|skin ?(?:care|tone|toned)|life style|no one|point of view|target audience|x-mas"
    r"|(?:fairy|string) lights|god rays)\b|#[0-9a-f]{3,8}\b|https?://\S+",
    re.I,
)
"""Phrases that mean something else than their words; codes of colours; addresses."""

_PIECES = re.compile(
    r"\"[^\"]{1,200}\"|“[^”]{1,200}”|«[^»]{1,200}»|[^\W_]+(?:'[^\W\d_]+)*|[.,;:!?()\n]"
)
_IN_QUOTES = re.compile(r"\s*[\"“«]([^\"“”«»]*)[\"”»]\s*")
"""A prompt that is quoted as a whole."""

_MOST = 100
"""Words and marks that are looked at; the demo's text encoder reads at most 32 tokens."""

_LONGEST = 30
"""Letters of a word that are looked at."""

_QUOTES = '"“«'
_MARKS = ".,;:!?()\n"
_ENDS = ".!?\n"
_APOSTROPHE = "\N{RIGHT SINGLE QUOTATION MARK}"


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a prompt.

    Attributes:
        typed: As it was typed.
        plain: In small letters, without accents and without `'s`.
        quoted: It stands for a text in quotes.
    """

    typed: str
    plain: str
    quoted: bool = False


Part = tuple[Word, ...]
"""The words between two marks of punctuation."""


def sentences(prompt: str) -> list[list[Part]]:
    """The sentences of a prompt, each in its parts.

    A text in quotes is one word. What has a digit in it, such as 4k, is left out, and so is the
    end of a very long prompt.
    """
    found: list[list[list[Word]]] = [[[]]]
    if quoted := _IN_QUOTES.fullmatch(prompt):
        prompt = quoted[1]
    text = _SKIPPED.sub(" ", prompt.replace(_APOSTROPHE, "'"))
    for match in islice(_PIECES.finditer(text), _MOST):
        piece = match[0]
        if piece in _ENDS:
            found.append([[]])
        elif piece in _MARKS:
            found[-1].append([])
        elif piece[0] in _QUOTES:
            found[-1][-1].append(Word(piece[1:-1], "", quoted=True))
        elif not any(letter.isdigit() for letter in piece):
            found[-1][-1].append(Word(piece, folded(piece[:_LONGEST])))
    return [[tuple(part) for part in parts if part] for parts in found if any(parts)]


def folded(text: str) -> str:
    """In small letters, without accents and without `'s`."""
    apart = unicodedata.normalize("NFKD", text.casefold())
    bare = "".join(letter for letter in apart if not unicodedata.combining(letter))
    return bare.removesuffix("'s").removesuffix("'")
