"""How far a batch is: a file in the folder of its results, of which nothing is ever taken back.

Each line is a change of one entry. A line that a kill has cut off is left out: what it told is
found again by asking the service, with the same idempotency key.
"""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path, PurePath
from types import TracebackType
from typing import Any, Literal, Self

from deployments.batch.entries import Entry
from deployments.batch.errors import CannotGoOn

NAME = ".backdrop-batch.jsonl"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an entry.

    Attributes:
        state: Whether its images are saved.
        files: Relative to the folder of the results, in the order of the images.
        seeds: As of the answer.
        fidelity: As of the answer; each with `pixels` and `shape`, or None.
        warnings: Sentences of the service.
        withheld: What its safety filter kept back; each with `index` and `reason`.
        error: Why it failed.
        code: The service's word for that; empty where it was not the service.
    """

    state: Literal["done", "failed"]
    files: list[str] = field(default_factory=list)
    seeds: list[int | None] = field(default_factory=list)
    fidelity: list[dict[str, float] | None] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    withheld: list[dict[str, Any]] = field(default_factory=list)
    error: str = ""
    code: str = ""


@dataclass(frozen=True, slots=True)
class Standing:
    """How far an entry is.

    Attributes:
        name: Of its files, without number and ending; relative to the folder of the results.
        attempt: How often it had to be asked for anew.
        job: The id of its job; empty before it is known.
        outcome: None as long as it is not done or failed.
    """

    name: str = ""
    attempt: int = 0
    job: str = ""
    outcome: Outcome | None = None


class Journal:
    """The journal of a folder of results, for one process at a time.

    Args:
        out: The folder, which is made where it is missing.

    Raises:
        CannotGoOn: Another process has it.
        OSError: It cannot be written.
    """

    def __init__(self, out: Path) -> None:
        out.mkdir(parents=True, exist_ok=True)
        self._file = os.open(out / NAME, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._file)
            raise CannotGoOn(f"another `backdrop batch` is at work in {out}") from error
        self._known: dict[str, Standing] = {}
        self._read()
        # Names are kept for what has files; who owns each.
        self._owners = {
            standing.name.casefold(): entry
            for entry, standing in self._known.items()
            if standing.outcome is not None and standing.outcome.files
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self._file)

    def of(self, entry: Entry) -> Standing:
        """How far an entry is."""
        return self._known.get(entry.id, Standing())

    def name(self, entry: Entry) -> None:
        """Give an entry the name of its files: its photo's own, or else the same with some digits.

        It keeps a name that it had before, unless another has files with it by now.
        """
        own = _own_name(entry)
        known = self.of(entry).name
        name = next(
            name
            for name in (known, own, f"{own}-{entry.id[:8]}")
            if name and self._owners.get(name.casefold(), entry.id) == entry.id
        )
        self._owners[name.casefold()] = entry.id
        if name != known:
            self.note(entry, name=name)

    def note(self, entry: Entry, **changes: Any) -> Standing:  # noqa: ANN401 - of a Standing
        """Write down what has changed, and return how far it is now."""
        standing = replace(self._known.get(entry.id, Standing()), **changes)
        line = {"entry": entry.id, **{name: _plain(value) for name, value in changes.items()}}
        os.write(self._file, json.dumps(line).encode() + b"\n")
        self._known[entry.id] = standing
        return standing

    def _read(self) -> None:
        with os.fdopen(os.dup(self._file), "rb") as file:
            file.seek(0)
            text = file.read()
        whole = text.rpartition(b"\n")[0] + b"\n" if b"\n" in text else b""
        # What is written next must not become the rest of half a line.
        os.ftruncate(self._file, len(whole))
        for line in whole.splitlines():
            try:
                change = json.loads(line)
                entry = change.pop("entry")
                if change.get("outcome") is not None:
                    change["outcome"] = Outcome(**change["outcome"])
                self._known[entry] = replace(self._known.get(entry, Standing()), **change)
            except (ValueError, KeyError, TypeError, AttributeError):
                continue  # damaged: asking the service again finds it out


def _own_name(entry: Entry) -> str:
    photo = PurePath(os.path.normpath(entry.photo)).with_suffix("")
    # A photo of elsewhere has no place among the folders of the results.
    outside = photo.is_absolute() or photo.parts[:1] == ("..",)
    return photo.name if outside else photo.as_posix()


def _plain(value: object) -> object:
    return asdict(value) if isinstance(value, Outcome) else value
