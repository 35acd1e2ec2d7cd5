"""What people read: the README, docs/ and their like, cut into what the tests look at."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        document: The file it is in, relative to the repository's root.
        line: Of its first line in the file, from 1.
        language: What stands behind the fence; empty for none.
        text: What is inside.
    """

    document: str
    line: int
    language: str
    text: str

    @property
    def name(self) -> str:
        """For the id of a test."""
        return f"{self.document}:{self.line}"


def documents() -> list[str]:
    """Every page but those of k8s/, which has tests of its own; relative to the root."""
    found = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/*.md")]
    return sorted(str(path.relative_to(ROOT)) for path in found)


def read(document: str) -> str:
    """The text of a page."""
    return (ROOT / document).read_text(encoding="utf-8")


def blocks(*languages: str, document: str | None = None) -> list[Block]:
    """The fenced blocks of these languages, of one page or of all."""
    found = []
    for name in documents() if document is None else [document]:
        text = read(name)
        for match in _FENCE.finditer(text):
            if match[1] in languages:
                line = text.count("\n", 0, match.start()) + 2
                found.append(Block(name, line, match[1], match[2]))
    return found


def prose(document: str) -> str:
    """The text of a page without its fenced blocks."""
    return _FENCE.sub("", read(document))


def anchors(document: str) -> set[str]:
    """What `#` of a link to a page may name, as GitHub makes it of the headings."""
    headings = re.findall(r"^#+ +(.+?)\s*$", prose(document), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(document: str) -> list[str]:
    """Targets of the links and pictures of a page that lead to a file or heading of ours."""
    targets = re.findall(r"\]\(([^)\s]+)\)", prose(document))
    return [target for target in targets if not re.match(r"[a-z]+:", target)]


def table(document: str, heading: str) -> list[list[str]]:
    """The cells of the rows of the first table under a heading, its head left out."""
    section = read(document).split(f"\n{heading}\n", 1)[1]
    rows = re.search(r"^\|.*\n\|[-| ]+\|\n((?:\|.*\n)+)", section, re.MULTILINE)
    assert rows is not None, f"{document} has no table under {heading}"
    return [
        [cell.strip() for cell in row.strip().strip("|").split(" | ")]
        for row in rows[1].splitlines()
    ]
