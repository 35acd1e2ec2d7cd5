"""What a batch makes: the photos of a folder, or the rows of a CSV file."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import get_type_hints

from deployments.batch.errors import WrongArguments
from deployments.client import FILES, Request, Terms

PICTURES = tuple(sorted(FILES & get_type_hints(Request).keys()))
"""Fields that are files, beside the photo."""

FIELDS = tuple(
    name
    for name in get_type_hints(Request)
    if name not in {*get_type_hints(Terms), *PICTURES, "cutout"}
)
"""The other fields that each photo may have."""

TAKEN = frozenset({".png", ".jpg", ".jpeg", ".webp"})
OTHERS = frozenset({".heic", ".heif", ".avif", ".gif", ".tif", ".tiff", ".bmp", ".jxl"})
"""Endings of pictures that the service does not take: they are told, and not passed over."""

VERSION = 1
"""Of the keys: another one makes everything anew."""


class Changed(Exception):
    """A file is not what it was when the batch began."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One photo, and what is asked of it.

    Attributes:
        photo: As the manifest names it: relative to the folder or to the CSV file.
        path: Its file.
        fields: Of the request, as text; those that are files name them.
        row: The line of the CSV file, from 2 on; None in a folder.
        problem: Why it cannot be sent; empty where nothing is known against it.
        digests: SHA-256 of each of its files, by field.
        content: A digest of all that decides its images; empty where its files cannot be read.
    """

    photo: str
    path: Path
    fields: Mapping[str, str] = field(default_factory=dict)
    row: int | None = None
    problem: str = ""
    digests: Mapping[str, str] = field(default_factory=dict)
    content: str = ""

    @property
    def id(self) -> str:
        """What the journal knows it by: two photos with the same content are two entries."""
        return _digest([self.content or self.problem, self.photo])

    def idempotency_key(self, attempt: int) -> str:
        """The key of a request for it; the number tells apart what must be asked for anew."""
        return f"batch-{_digest([self.content, attempt])}"

    def files(self) -> dict[str, Path]:
        """Its files, under the names of their fields."""
        pictures = {name: Path(self.fields[name]) for name in PICTURES if name in self.fields}
        return {"image": self.path, **pictures}

    def read(self, batch: str) -> Entry:
        """The same with the digest of its content, or with the problem that its files have.

        Args:
            batch: The batch's name, which belongs to the content.
        """
        if self.problem:
            return self
        try:
            digests = {name: _file_digest(path) for name, path in self.files().items()}
        except OSError as error:
            return replace(self, problem=f"{error.filename or self.path}: {error.strerror}")
        fields = {name: text for name, text in self.fields.items() if name not in PICTURES}
        return replace(self, digests=digests, content=_digest([VERSION, batch, digests, fields]))

    def contents(self) -> dict[str, bytes]:
        """Its files by field, which are those that its key is made of.

        Raises:
            OSError: One cannot be read.
            Changed: One is another than when it was read before.
        """
        files = {name: path.read_bytes() for name, path in self.files().items()}
        if self.digests != {name: hashlib.sha256(file).hexdigest() for name, file in files.items()}:
            raise Changed
        return files


def in_folder(folder: Path, fields: Mapping[str, str], out: Path) -> list[Entry]:
    """The photos of a folder and of the folders in it, in the order of their names.

    Args:
        folder: Where they are.
        fields: Asked of each.
        out: Where the results go, which may lie in the folder.

    Raises:
        WrongArguments: There are none, or the folder cannot be read.
    """
    entries = [
        Entry(str(path.relative_to(folder)), path, fields, problem=_ending_problem(path))
        for path in _pictures(folder, out.resolve())
    ]
    if not entries:
        raise WrongArguments(f"{folder}: there is no PNG, JPEG or WebP in it")
    return entries


def _pictures(folder: Path, out: Path) -> Iterator[Path]:
    def refuse(error: OSError) -> None:
        raise WrongArguments(f"{error.filename}: {error.strerror}") from error

    for where, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith((".", "__")) and (Path(where) / name).resolve() != out
        )
        for name in sorted(names):
            if not name.startswith(".") and Path(name).suffix.lower() in TAKEN | OTHERS:
                yield Path(where) / name


def in_table(table: Path, fields: Mapping[str, str]) -> list[Entry]:
    """The rows of a CSV file, whose first line names the columns.

    Args:
        table: The file, in UTF-8; cells are separated by commas, semicolons or tabs.
        fields: Asked of each photo where its row says nothing else.

    Raises:
        WrongArguments: It cannot be read, or not be understood; the sentence names the line.
    """
    try:
        text = table.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise WrongArguments(f"{table}: {error.strerror}") from error
    except ValueError as error:
        raise WrongArguments(f"{table}: it is not in UTF-8: save it as CSV UTF-8") from error
    separator = max(",;\t", key=text.partition("\n")[0].count)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    entries: list[Entry] = []
    try:
        columns = [name.strip().lower() for name in next(rows, [])]
        _check_columns(table, columns)
        for row in rows:
            if any(cell.strip() for cell in row):
                entries.append(_entry(table, rows.line_num, columns, row, fields))
    except csv.Error as error:
        raise WrongArguments(f"{table}, line {rows.line_num}: {error}") from error
    if not entries:
        raise WrongArguments(f"{table}: it has no rows")
    return entries


def _check_columns(table: Path, columns: list[str]) -> None:
    known = ("image", *FIELDS, *PICTURES)
    if unknown := [name for name in columns if name not in known]:
        names = ", ".join(repr(name) for name in unknown)
        raise WrongArguments(f"{table}: unknown column {names}; there are {', '.join(known)}")
    if twice := sorted({name for name in columns if columns.count(name) > 1}):
        raise WrongArguments(f"{table}: the column {', '.join(twice)} stands there twice")
    if "image" not in columns:
        raise WrongArguments(f"{table}: it needs a column image, the path of each photo")


def _entry(
    table: Path, line: int, columns: list[str], row: list[str], fields: Mapping[str, str]
) -> Entry:
    if len(row) > len(columns):
        raise WrongArguments(
            f"{table}, line {line}: it has {len(row)} cells, the head {len(columns)}"
        )
    cells = {name: cell.strip() for name, cell in zip(columns, row, strict=False) if cell.strip()}
    photo = cells.pop("image", "")
    if not photo:
        raise WrongArguments(f"{table}, line {line}: image is empty")
    for name in PICTURES:
        if name in cells:
            cells[name] = str(table.parent / cells[name])
    path = table.parent / photo
    return Entry(photo, path, {**fields, **cells}, line, _ending_problem(path))


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _ending_problem(path: Path) -> str:
    ending = path.suffix.lower()
    if ending in OTHERS:
        return f"{ending[1:].upper()} is not taken: save it as JPEG, PNG or WebP"
    return ""


def _digest(parts: list[object]) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
