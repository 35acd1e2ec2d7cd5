"""The manifest of a batch: what became of each photo, as CSV and as JSON."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Sequence
from pathlib import Path

from deployments.batch.entries import Entry
from deployments.batch.journal import Outcome, Standing

CSV_NAME, JSON_NAME = "manifest.csv", "manifest.json"


def write_manifest(out: Path, entries: Sequence[Entry], standings: Sequence[Standing]) -> None:
    """Replace both files, each of which is whole at any time.

    Args:
        out: The folder of the results.
        entries: What is asked for.
        standings: How far each is.

    Raises:
        OSError: They cannot be written.
    """
    rows = [_row(entry, standing) for entry, standing in zip(entries, standings, strict=True)]
    _replace(out / JSON_NAME, json.dumps(rows, indent=1, ensure_ascii=False) + "\n")
    text = io.StringIO(newline="")
    table = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    table.writeheader()
    table.writerows({name: _cell(value) for name, value in row.items()} for row in rows)
    _replace(out / CSV_NAME, text.getvalue())


def _row(entry: Entry, standing: Standing) -> dict[str, object]:
    outcome = standing.outcome
    told = outcome or Outcome("failed")
    return {
        "photo": entry.photo,
        "row": entry.row,
        "state": "waiting" if outcome is None else outcome.state,
        "files": told.files,
        "seeds": told.seeds,
        "fidelity": told.fidelity,
        "warnings": told.warnings,
        "withheld": told.withheld,
        "error": told.error,
        "code": told.code,
        "fields": dict(entry.fields),
        "job": standing.job,
    }


def _cell(value: object) -> object:
    """As people read it in a table: one value after the other, a fidelity as its two numbers."""
    if isinstance(value, list):
        return "; ".join(str(_cell(each)) for each in value)
    if isinstance(value, dict):
        return ", ".join(f"{name}={each}" for name, each in value.items())
    return "" if value is None else value


def _replace(path: Path, text: str) -> None:
    part = path.with_name(f".{path.name}.part")
    part.write_text(text, encoding="utf-8")
    os.replace(part, path)
