"""Tells prompts of other languages from English ones."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Collection, Iterable

from deployments.ingress.core.demo.sentences import Word


def is_foreign(
    words: Iterable[Word], foreign: Collection[str], known: Callable[[str], bool]
) -> bool:
    """Whether words are of another language than English.

    Args:
        words: Of a prompt.
        foreign: Words of other languages, in small letters.
        known: Whether a word is English, by its plain form.
    """
    typed = [word for word in words if not word.quoted]
    letters = [letter for word in typed for letter in word.typed if letter.isalpha()]
    if 2 * sum("LATIN" not in unicodedata.name(letter, "") for letter in letters) > len(letters):
        return True
    unknown = [word.typed for word in typed if not known(word.plain)]
    listed = [word for word in unknown if word.casefold() in foreign]
    # English has words with accents too, such as café: they count beside others.
    others = sum(word in listed or not word.isascii() for word in unknown) if listed else 0
    english = len(typed) - len(unknown)
    return others > english or (others == english and others > 1)
