"""Draws of rendered pictures on disk."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from training import draws
from training.rendering import store
from training.rendering.engine import Rendered
from training.rendering.materials import LEVELS


@pytest.fixture
def rendered(tmp_path: Path) -> Path:
    albedo = np.broadcast_to(np.asarray(LEVELS, np.float32), (6, 6, 3))
    weights = np.zeros((6, 6, 4), np.float32)
    weights[..., 0] = 1
    picture = Rendered(albedo * 0.5, albedo, weights, np.ones((6, 6), np.uint8))
    folder = tmp_path / "rendered"
    folder.mkdir()
    for index in range(40):
        facts = {"kind": "paper", "coloured": True, "seen": ["first"], "number": index}
        store.save(store.path_of(folder, index), picture, facts)
    return folder


def test_draws_have_captions_and_go_on(
    rendered: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(draws, "CHUNK", 5)
    out = tmp_path / "draws"
    draws.write(rendered, out, 0, 10)
    draws.write(rendered, out, 0, 5, "held")
    assert sorted(p.name for p in out.iterdir()) == [
        f"{n}.{e}" for n in ("draws-000", "draws-001", "held-000") for e in ("json", "npy")
    ]
    chunks = draws.load(out)
    assert [c.shape for c in chunks] == [(5, 6, 6, 3)] * 2
    assert not np.array_equal(chunks[0], chunks[1])
    said = json.loads((out / "draws-001.json").read_text())
    assert len(said) == 5
    assert all(s["caption"] and s["kind"] == "paper" for s in said)
    kept = (out / "draws-000.npy").read_bytes()
    (out / "draws-001.npy").unlink()
    draws.write(rendered, out, 0, 15)
    assert (out / "draws-000.npy").read_bytes() == kept
    assert len(draws.load(out)) == 3
    np.testing.assert_array_equal(draws.load(out)[1], chunks[1])
