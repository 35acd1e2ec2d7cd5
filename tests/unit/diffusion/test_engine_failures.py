"""What fails, fails alone; a dead or closed engine says so."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from gated import GatedModel, Recorder
from stepped import PATIENCE_S, Listener, a_job, a_photo, submit

from deployments.diffusion.families.pictures import NotFinite
from deployments.errors import ReplicaLost, Unavailable
from deployments.jobs import ImageJob, Pixels, PreparedPhoto


class FaultyModel(GatedModel):
    """Fails where a job's key says so: a stage's name, or that stage's name and `dies`."""

    def prepare(self, job: ImageJob, photo: PreparedPhoto) -> Any:
        state = super().prepare(job, photo)
        self._fail("prepare", job.key)
        return state

    def predict(self, batch: Sequence[Any]) -> list[torch.Tensor]:
        predictions = super().predict(batch)
        for one in batch:
            self._fail("predict", one.job.key)
        return predictions

    def advance(self, denoising: Any, prediction: torch.Tensor) -> None:
        self._fail("advance", denoising.job.key)
        super().advance(denoising, prediction)

    def decode(self, denoising: Any) -> Pixels:
        pixels = super().decode(denoising)
        self._fail("decode", denoising.job.key)
        return pixels

    @staticmethod
    def _fail(stage: str, key: str) -> None:
        if key == stage:
            raise RuntimeError(f"no {stage}")
        if key == f"{stage} memory":
            raise torch.OutOfMemoryError("CUDA out of memory")
        if key == f"{stage} dies":
            raise SystemExit


@pytest.fixture
def model() -> FaultyModel:
    return FaultyModel()


@pytest.fixture
def told() -> Recorder:
    return Recorder()


@pytest.mark.parametrize("stage", ["prepare", "advance", "decode"])
def test_a_faulty_job_fails_alone(model: Any, told: Any, start_engine: Any, stage: str):
    engine = start_engine(model, observer=told)
    good, _ = submit(engine, "good")
    assert model.next_batch() == ["good"]
    bad, _ = submit(engine, stage)
    also_good, _ = submit(engine, "also good")
    model.allow(1000)
    with pytest.raises(RuntimeError, match=f"no {stage}"):
        raise bad.error()
    good.image()
    also_good.image()
    assert len(bad.ends) == 1
    engine.check()
    told.until_lengths(0, 0, 0)


def test_a_faulty_forward_pass_fails_its_jobs_and_no_others(model: Any, start_engine: Any):
    engine = start_engine(model)
    wide, _ = submit(engine, "wide", a_photo(width=96))
    assert model.next_batch() == ["wide"]
    bad = [submit(engine, key)[0] for key in ("beside", "predict")]
    model.allow(1000)
    assert str(bad[1].error()) == "no predict"
    wide.image()
    submit(engine, "later")[0].image()
    engine.check()


def test_a_faulty_listener_hurts_nobody(model: Any, start_engine: Any):
    engine = start_engine(model)
    called = []

    def fail(event: Any) -> None:
        called.append(event)
        raise RuntimeError("deaf")

    engine.submit(a_job("deaf"), a_photo(), fail)
    assert model.next_batch() == ["deaf"]
    good, _ = submit(engine, "good")
    model.allow(1000)
    good.image()
    assert len(called) == 5
    engine.check()


def test_a_forward_that_does_not_fit_is_run_in_smaller_ones(
    told: Any, start_engine: Any, caplog: Any
):
    model = GatedModel(memory=5)
    engine = start_engine(model, observer=told, max_rows=16)
    first, _ = submit(engine, "0", steps=4, strength=1.0)
    assert model.next_batch() == ["0"]
    heard = [submit(engine, f"{n}", steps=3, strength=1.0)[0] for n in range(1, 8)]
    told.until_lengths(0, 7, 0)
    model.allow(1000)
    images = [one.image() for one in (first, *heard)]
    # Every job took each of its steps once, whatever did not fit.
    assert {one.pixels[0, 0, 0] for one in images[1:]} == {3}
    assert images[0].pixels[0, 0, 0] == 4
    sizes = [len(batch) for batch in model.begun["predict"]]
    assert sizes[:4] == [1, 8, 4, 2]
    assert max(sizes[3:]) == 2
    assert told.out_of_memory == 2
    assert sum(rows for rows, _ in told.ticks) == 2 * (7 * 3 + 4)
    assert (
        "16 rows of 64x64 pixels do not fit into memory; from now on a forward has at most 8"
        in (caplog.messages)
    )
    # Another size is tried at its own capacity, and this one is not tried again.
    wide = [submit(engine, f"w{n}", a_photo(width=96))[0] for n in range(4)]
    again = [submit(engine, f"a{n}")[0] for n in range(4)]
    for one in wide + again:
        one.image()
    batches = model.begun["predict"][len(sizes) :]
    assert max(len(batch) for batch in batches if batch[0].startswith("a")) <= 2


def test_one_job_that_does_not_fit_alone_fails_and_says_so(told: Any, start_engine: Any):
    model = GatedModel(held=(), memory=1)
    engine = start_engine(model, observer=told)
    heard = [submit(engine, f"{n}", a_photo(64, 96))[0] for n in range(2)]
    for one in heard:
        error = one.error()
        assert type(error) is Unavailable
        assert str(error) == "a picture of 96x64 pixels does not fit into the model's memory"
    unguided = [submit(engine, f"u{n}", a_photo(64, 96), guidance_scale=1.0)[0] for n in range(3)]
    for one in unguided:
        one.image()
    assert told.out_of_memory >= 2
    engine.check()


@pytest.mark.parametrize("stage", ["prepare", "advance", "decode"])
def test_running_out_of_memory_elsewhere_is_told_as_well(
    told: Any, model: Any, start_engine: Any, stage: str
):
    engine = start_engine(model, observer=told)
    heard, _ = submit(engine, f"{stage} memory")
    model.allow(1000)
    with pytest.raises(Unavailable, match="does not fit into the model's memory"):
        raise heard.error()
    assert told.out_of_memory == 1


@pytest.mark.parametrize("stage", ["prepare", "predict", "advance", "decode"])
def test_a_dead_thread_is_told_and_ends_every_job(start_engine: Any, stage: str):
    model = FaultyModel(held=("prepare", "predict", "decode"))
    engine = start_engine(model, max_rows=4)
    heard = [submit(engine, key)[0] for key in ("good", f"{stage} dies", "beside", "waiting")]
    engine.check()
    for held in ("prepare", "predict", "decode"):
        model.allow(1000, held)
    for one in heard[1:]:
        error = one.error()
        assert isinstance(error, ReplicaLost)
        assert str(error) == "the model stopped working and is being restarted"
    with pytest.raises(ReplicaLost):
        submit(engine, "late")
    engine.close(drain_s=PATIENCE_S)
    with pytest.raises(Unavailable, match="does not run"):
        engine.check()
    assert all(len(one.ends) == 1 for one in heard)


def test_closing_finishes_what_was_submitted(model: Any, start_engine: Any):
    engine = start_engine(model, max_rows=2)
    heard = [submit(engine, key)[0] for key in "abc"]
    assert model.next_batch() == ["a"]
    closing = threading.Thread(target=engine.close, args=(PATIENCE_S,))
    closing.start()
    _wait_until_refusing(engine)
    model.allow(1000)
    closing.join(PATIENCE_S)
    assert not closing.is_alive()
    for one in heard:
        assert one.image()
    engine.close(drain_s=0)
    with pytest.raises(Unavailable):
        engine.check()


def test_what_is_left_after_the_drain_time_fails(start_engine: Any):
    model = GatedModel(held=("predict", "decode"))
    engine = start_engine(model, max_rows=2)
    decoding, _ = submit(engine, "decoding", steps=1, strength=1.0)
    model.allow()
    model.begins("decode", 1)
    running, _ = submit(engine, "running")
    assert model.begins("predict", 2) == ["running"]
    waiting, _ = submit(engine, "waiting")
    ready, _ = submit(engine, "ready", a_photo(width=96))
    closing = threading.Thread(target=engine.close, args=(0,))
    closing.start()
    for heard in (decoding, running, waiting, ready):
        error = heard.error()
        assert isinstance(error, ReplicaLost)
        assert str(error) == "the model is shutting down"
        assert error.retry_after_s == 10
    assert closing.is_alive()
    model.allow()
    model.allow(1, "decode")
    closing.join(PATIENCE_S)
    assert not closing.is_alive()
    for heard in (decoding, running, waiting, ready):
        assert len(heard.ends) == 1
    assert model.begun["predict"] == [["decoding"], ["running"]]


def test_an_idle_engine_closes(model: Any, start_engine: Any):
    engine = start_engine(model)
    engine.close(drain_s=PATIENCE_S)
    engine.close(drain_s=PATIENCE_S)
    with pytest.raises(ReplicaLost):
        submit(engine)


def test_its_errors_cross_processes():
    error = pickle.loads(pickle.dumps(NotFinite("the model computed no image")))  # noqa: S301 - ours
    assert (type(error), str(error)) == (NotFinite, "the model computed no image")


def _wait_until_refusing(engine: Any) -> None:
    """Submit jobs that leave at once until the engine takes no more."""
    for _ in range(PATIENCE_S * 100):
        try:
            engine.submit(a_job("probe"), a_photo(), Listener()).cancel()
        except ReplicaLost:
            return
        threading.Event().wait(0.01)
    raise AssertionError("the engine still takes jobs")
