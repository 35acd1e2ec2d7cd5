"""What fails, fails alone; a dead or closed engine says so."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from stepped import PATIENCE_S, Listener, SteppedModel, a_job, a_photo, submit

from deployments.diffusion.model import Denoising, NotFinite
from deployments.errors import InvalidRequest, ReplicaLost, Unavailable
from deployments.jobs import ImageJob, PreparedPhoto


class FaultyModel(SteppedModel):
    """Fails where a job's key says so."""

    def prepare(self, job: ImageJob, photo: PreparedPhoto) -> Denoising:
        if job.key == "prepare":
            raise RuntimeError("no preparation")
        return super().prepare(job, photo)

    def predict(self, batch: Sequence[Denoising]) -> list[torch.Tensor]:
        predictions = super().predict(batch)
        keys = [self.key_of(one) for one in batch]
        if "predict" in keys:
            raise RuntimeError("no forward pass")
        if "die" in keys:
            raise SystemExit
        return predictions

    def advance(self, denoising: Denoising, prediction: torch.Tensor) -> None:
        key = self.key_of(denoising)
        if key == "advance":
            raise RuntimeError("no step")
        super().advance(denoising, prediction)
        if key in {"nan", "inf"}:
            denoising.latents = denoising.latents * float(key)


@pytest.fixture
def model(components: Any) -> FaultyModel:
    return FaultyModel(components(vae="tiny"))


@pytest.mark.parametrize(
    ("key", "error", "message"),
    [
        ("prepare", RuntimeError, "no preparation"),
        ("advance", RuntimeError, "no step"),
        ("nan", NotFinite, "not finite"),
        ("inf", NotFinite, "not finite"),
    ],
)
def test_a_faulty_job_fails_alone(
    model: Any, start_engine: Any, key: str, error: Any, message: str
) -> None:
    engine = start_engine(model)
    good, _ = submit(engine, "good")
    assert model.next_batch() == ["good"]
    bad, _ = submit(engine, key)
    also_good, _ = submit(engine, "also good")
    model.allow(1000)
    with pytest.raises(error, match=message):
        raise bad.error()
    good.image()
    also_good.image()
    assert len(bad.ends) == 1
    engine.check()


def test_a_faulty_forward_pass_fails_its_jobs_and_no_others(model: Any, start_engine: Any) -> None:
    engine = start_engine(model)
    wide, _ = submit(engine, "wide", a_photo(width=96))
    assert model.next_batch() == ["wide"]
    bad = [submit(engine, key)[0] for key in ("beside", "predict")]
    model.allow(1000)
    for heard in bad:
        assert str(heard.error()) == "no forward pass"
    wide.image()
    submit(engine, "later")[0].image()
    engine.check()


def test_a_faulty_listener_hurts_nobody(model: Any, start_engine: Any) -> None:
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


def test_a_decoder_that_overflows_fails_its_job(
    components: Any, start_engine: Any, monkeypatch: Any
) -> None:
    parts = components()
    decode = parts.vae.decode

    def overflow(latents: Any, **options: Any) -> Any:
        return (decode(latents, **options)[0] * float("inf"),)

    monkeypatch.setattr(parts.vae, "decode", overflow)
    model = SteppedModel(parts)
    model.allow(1000)
    bad, _ = submit(start_engine(model))
    with pytest.raises(NotFinite, match="decoder overflowed"):
        raise bad.error()


@pytest.mark.parametrize(
    ("scheduler", "changes", "message"),
    [
        ("ddim", {"steps": 10, "strength": 0.05}, "strength: 0.05 of 10 steps leaves none"),
        ("ddim", {"steps": 1001}, "steps: scheduler ddim takes at most 1000, not 1001"),
        ("lcm", {"steps": 51}, "steps: scheduler lcm takes at most 50, not 51"),
    ],
)
def test_settings_that_cannot_run_are_refused(
    components: Any, start_engine: Any, scheduler: Any, changes: Any, message: str
) -> None:
    bad, _ = submit(start_engine(SteppedModel(components(), scheduler)), **changes)
    with pytest.raises(InvalidRequest, match=message):
        raise bad.error()


def test_a_prompt_that_is_cut_is_warned_about(components: Any, start_engine: Any) -> None:
    model = SteppedModel(components())
    model.allow(1000)
    engine = start_engine(model)
    heard, _ = submit(engine, prompt="cup " * 30, negative_prompt="dark " * 30)
    cut = "was cut after 14 tokens: the model reads no more"
    assert heard.image().warnings == (f"negative_prompt {cut}", f"prompt {cut}")
    unguided, _ = submit(engine, guidance_scale=1.0, negative_prompt="dark " * 30)
    assert unguided.image().warnings == ()


def test_a_dead_thread_is_told_and_ends_every_job(model: Any, start_engine: Any) -> None:
    engine = start_engine(model, max_rows=4)
    heard = [submit(engine, key)[0] for key in ("die", "beside", "waiting")]
    engine.check()
    model.allow(1000)
    for one in heard:
        assert isinstance(one.error(), ReplicaLost)
    with pytest.raises(ReplicaLost):
        submit(engine, "late")
    engine.close(drain_s=PATIENCE_S)
    with pytest.raises(Unavailable, match="does not run"):
        engine.check()
    assert all(len(one.ends) == 1 for one in heard)


def test_closing_finishes_what_was_submitted(model: Any, start_engine: Any) -> None:
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


def test_what_is_left_after_the_drain_time_fails(model: Any, start_engine: Any) -> None:
    engine = start_engine(model, max_rows=2)
    running, waiting = (submit(engine, key)[0] for key in "ab")
    assert model.next_batch() == ["a"]
    closing = threading.Thread(target=engine.close, args=(0,))
    closing.start()
    _wait_until_refusing(engine)
    model.allow()
    for heard in (running, waiting):
        error = heard.error()
        assert isinstance(error, ReplicaLost)
        assert error.retry_after_s == 10
    closing.join(PATIENCE_S)
    assert not closing.is_alive()
    assert len(running.ends) == len(waiting.ends) == 1


def test_an_idle_engine_closes(model: Any, start_engine: Any) -> None:
    engine = start_engine(model)
    engine.close(drain_s=PATIENCE_S)
    engine.close(drain_s=PATIENCE_S)
    with pytest.raises(ReplicaLost):
        submit(engine)


def test_its_errors_cross_processes() -> None:
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
