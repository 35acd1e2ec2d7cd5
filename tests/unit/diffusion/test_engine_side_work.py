"""What goes on beside the steps: preparing and decoding, and jobs cancelled there."""

from __future__ import annotations

from typing import Any

import pytest
from gated import GatedModel, Recorder
from stepped import a_photo, submit


@pytest.fixture
def told() -> Recorder:
    return Recorder()


def test_a_preparation_holds_up_no_steps(told: Any, start_engine: Any):
    model = GatedModel(held=("prepare",))
    engine = start_engine(model, observer=told)
    running, _ = submit(engine, "running", steps=50, strength=1.0)
    model.allow(1, "prepare")
    submit(engine, "slow")
    assert model.begins("prepare", 2) == "slow"
    running.image()
    model.allow(1, "prepare")


def test_a_decoding_holds_up_no_steps_and_a_cancelled_one_leaves_at_once(
    told: Any, start_engine: Any
):
    model = GatedModel(held=("decode",))
    engine = start_engine(model, observer=told)
    first, _ = submit(engine, "first", steps=1, strength=1.0)
    assert model.begins("decode", 1) == "first"
    second, ticket = submit(engine, "second", steps=50, strength=1.0)
    third, _ = submit(engine, "third", steps=60, strength=1.0)
    told.until_lengths(0, 0, 3)
    assert len(second.progress) == 50
    ticket.cancel()
    assert told.lengths == (0, 0, 2)
    assert len(told.latencies) == 1
    model.allow(2, "decode")
    first.image()
    third.image()
    assert model.begun["decode"] == ["first", "third"]
    assert second.ends == []


def test_a_job_cancelled_while_it_is_prepared_or_decoded_is_never_heard_of(
    told: Any, start_engine: Any
):
    model = GatedModel(held=("prepare", "decode"))
    engine = start_engine(model, observer=told, max_rows=2)
    early, its = submit(engine, "early")
    assert model.begins("prepare", 1) == "early"
    its.cancel()
    assert told.lengths == (0, 0, 0)
    late, its = submit(engine, "late")
    model.allow(2, "prepare")
    assert model.begins("decode", 1) == "late"
    its.cancel()
    after, _ = submit(engine, "after")
    model.allow(1, "prepare")
    model.allow(2, "decode")
    after.image()
    assert early.events == []
    assert late.ends == []
    assert len(told.latencies) == 2
    assert [batch for batch in model.begun["predict"] if batch == ["early"]] == []


def test_a_full_decoder_holds_up_joining_and_no_steps(told: Any, start_engine: Any):
    model = GatedModel(held=("decode",))
    engine = start_engine(model, observer=told, max_rows=2, max_waiting=100)
    wide, _ = submit(engine, "wide", a_photo(width=96), steps=1000, strength=1.0)
    heard = [submit(engine, f"{n}", steps=1, strength=1.0)[0] for n in range(20)]
    # One waits for each of the sixteen places, and two could join but do not.
    told.until(lambda recorder: recorder.lengths[2] == 16)
    told.until(lambda recorder: len(recorder.waits) == 17)
    wide_steps = len(wide.progress)
    told.until(lambda recorder: len(wide.progress) > wide_steps)
    assert told.lengths[0] + told.lengths[1] == 4
    assert len(told.waits) == 17
    model.allow(1000, "decode")
    for one in [*heard, wide]:
        one.image()
    assert told.most[2] <= 17
