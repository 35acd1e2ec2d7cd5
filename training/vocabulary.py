"""Every word that the captions can hold: the service warns of what the weights never learned.

`python -m training.vocabulary --demo FOLDER` writes it to a demo folder.
"""

import argparse
import json
import re
from collections.abc import Iterable
from pathlib import Path

from training import words
from training.rendering import kinds, phrases, tone

NAME = "vocabulary.json"
_WORD = re.compile(r"[a-z]+")
_SLOT = re.compile(r"\{\w*\}")


def _found(texts: Iterable[str]) -> set[str]:
    return {word for text in texts for word in _WORD.findall(_SLOT.sub(" ", text.lower()))}


def collect() -> dict[str, list[str]]:
    """The words of `asking.caption`, each list in order.

    Returns:
        `colours`: those of colours and metals; `words`: those of all else.
    """
    texts = list(words.TEMPLATES) + list(phrases.TABLES)
    for name in kinds.NAMES:
        texts += phrases.COLOURED.get(name, ())
        texts += phrases.BARE.get(name, words.PHRASES.get(name, ()))
    for table in (phrases.SURFACES, phrases.SHADOWS, words.LIGHTS):
        texts += [text for group in table.values() for text in group]
    said = _found(texts)
    shades = [shade for group in words.COLOUR_WORDS.values() for shade in group]
    return {
        "colours": sorted(_found([*words.COLOUR_WORDS, *shades, *tone.METALS])),
        "words": sorted(said),
    }


def write(demo: Path) -> Path:
    """Write the words into the demo folder.

    Returns:
        The file.
    """
    path = demo / NAME
    document = {"written_by": "python -m training.vocabulary", **collect()}
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return path


def main() -> None:
    """Write it, and say where."""
    parser = argparse.ArgumentParser(prog="python -m training.vocabulary")
    parser.add_argument("--demo", type=Path, required=True, help="the demo folder")
    print(write(parser.parse_args().demo))


if __name__ == "__main__":
    main()
