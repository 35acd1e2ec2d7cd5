"""The words that the captions of the demo weights hold. Their file lies beside the weights."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import deployments

_FILE = Path(deployments.__file__).parent / "diffusion" / "demo" / "vocabulary.json"


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """All words of the captions, in small letters.

    Attributes:
        words: Those of scenes and of ways to ask for them.
        colours: Those of colours.
    """

    words: frozenset[str]
    colours: frozenset[str]

    @classmethod
    def bundled(cls) -> Self:
        """Read the file of the weights in this package.

        Raises:
            FileNotFoundError: It is missing from this installation.
        """
        if not _FILE.is_file():
            raise FileNotFoundError(
                f"the words of the bundled demo ({_FILE.name}) are missing from this installation"
            )
        return cls.read(_FILE)

    @classmethod
    def read(cls, file: Path) -> Self:
        """Read a file that was written where the captions were made."""
        found = json.loads(file.read_text(encoding="utf-8"))
        return cls(frozenset(found["words"]), frozenset(found["colours"]))
