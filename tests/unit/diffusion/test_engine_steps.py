"""Who is in which step: joining, leaving, cancelling, turns and room."""

from __future__ import annotations

import random
from typing import Any

import pytest
from stepped import Listener, SteppedModel, a_job, a_photo, submit

from deployments.diffusion.engine import Engine
from deployments.errors import Overloaded
from deployments.jobs import Progress


@pytest.fixture
def model(components: Any) -> SteppedModel:
    return SteppedModel(components())


def test_a_job_joins_at_the_next_step_and_leaves_when_done(model: Any, start_engine: Any) -> None:
    engine = start_engine(model)
    submit(engine, "a", steps=4, strength=1.0)
    assert model.next_batch() == ["a"]
    submit(engine, "b", steps=2, strength=1.0)
    model.allow()
    assert model.next_batch() == ["a", "b"]
    model.allow()
    assert model.next_batch() == ["a", "b"]
    model.allow()
    assert model.next_batch() == ["a"]


def test_progress_comes_after_each_step_and_then_the_image(model: Any, start_engine: Any) -> None:
    heard, _ = submit(start_engine(model), steps=6, strength=0.5)
    model.allow(1000)
    image = heard.image()
    assert heard.progress == [Progress(1, 3), Progress(2, 3), Progress(3, 3)]
    assert heard.events[-1] is image
    assert image.pixels.shape == (64, 64, 3)
    assert image.pixels.dtype == "uint8"
    assert image.weights == "tiny"
    assert 0 < image.queued_s < image.engine_s


def test_a_running_job_is_cancelled_within_one_step(model: Any, start_engine: Any) -> None:
    engine = start_engine(model)
    submit(engine, "a")
    assert model.next_batch() == ["a"]
    heard, ticket = submit(engine, "b")
    model.allow()
    assert model.next_batch() == ["a", "b"]
    ticket.cancel()
    model.allow()
    assert model.next_batch() == ["a"]
    assert heard.events == []
    ticket.cancel()


def test_a_cancelled_job_gives_its_rows_to_the_next(model: Any, start_engine: Any) -> None:
    engine = start_engine(model, max_rows=2)
    _, ticket = submit(engine, "a")
    submit(engine, "b")
    assert model.next_batch() == ["a"]
    ticket.cancel()
    model.allow()
    assert model.next_batch() == ["b"]


def test_a_cancelled_job_of_another_size_gives_its_rows_too(model: Any, start_engine: Any) -> None:
    engine = start_engine(model, max_rows=4)
    submit(engine, "a")
    assert model.next_batch() == ["a"]
    _, ticket = submit(engine, "wide", a_photo(width=96))
    submit(engine, "b")
    model.allow()
    assert model.next_batch() == ["wide"]
    model.allow()
    assert model.next_batch() == ["a"]
    ticket.cancel()
    model.allow()
    assert model.next_batch() == ["a", "b"]


def test_a_cancelled_waiting_job_gives_its_place_at_once(model: Any, start_engine: Any) -> None:
    engine = start_engine(model, max_rows=2, max_waiting=1)
    submit(engine, "a")
    assert model.next_batch() == ["a"]
    heard, ticket = submit(engine, "b")
    with pytest.raises(Overloaded):
        submit(engine, "c")
    ticket.cancel()
    last, _ = submit(engine, "d")
    model.allow(1000)
    last.image()
    assert heard.events == []


def test_cancelling_from_a_listener_ends_the_job_there(model: Any, start_engine: Any) -> None:
    engine = start_engine(model)
    heard = Listener()
    tickets: list[Any] = []

    def cancel_at_first_step(event: Any) -> None:
        heard(event)
        tickets[0].cancel()

    tickets.append(engine.submit(a_job("a"), a_photo(), cancel_at_first_step))
    assert model.next_batch() == ["a"]
    submit(engine, "b")
    model.allow()
    assert model.next_batch() == ["b"]
    assert heard.events == [Progress(1, 4)]


def test_sizes_take_turns(model: Any, start_engine: Any) -> None:
    engine = start_engine(model)
    submit(engine, "a")
    assert model.next_batch() == ["a"]
    submit(engine, "wide", a_photo(width=96))
    submit(engine, "high", a_photo(height=96))
    submit(engine, "b")
    order = []
    for _ in range(6):
        model.allow()
        order.append(model.next_batch())
    assert order == [["wide"], ["high"], ["a", "b"]] * 2


def test_rows_are_capped_and_admission_is_first_come(model: Any, start_engine: Any) -> None:
    engine = start_engine(model, max_rows=5)
    submit(engine, "a", steps=1, strength=1.0)
    assert model.next_batch() == ["a"]
    submit(engine, "b")
    submit(engine, "c")
    submit(engine, "unguided", guidance_scale=1.0)
    submit(engine, "last", guidance_scale=0.0)
    model.allow()
    assert model.next_batch() == ["b", "c", "unguided"]


def test_a_job_that_does_not_fit_is_not_overtaken(model: Any, start_engine: Any) -> None:
    engine = start_engine(model, max_rows=3)
    submit(engine, "a", steps=3, strength=1.0)
    assert model.next_batch() == ["a"]
    submit(engine, "guided")
    submit(engine, "unguided", guidance_scale=1.0)
    model.allow()
    assert model.next_batch() == ["a"]
    model.allow()
    assert model.next_batch() == ["a"]
    model.allow()
    assert model.next_batch() == ["guided", "unguided"]


def test_room_counts_what_fits_beside_the_running_jobs(model: Any, start_engine: Any) -> None:
    engine = start_engine(model, max_rows=4, max_waiting=2)
    heard = [submit(engine, key)[0] for key in "abcd"]
    with pytest.raises(Overloaded) as refused:
        submit(engine, "e")
    assert refused.value.retry_after_s == engine.estimate_wait_s(1) == 0
    model.allow(1000)
    for one in heard:
        one.image()


def test_the_wait_is_estimated_from_measured_steps(model: Any, start_engine: Any) -> None:
    engine = start_engine(model, max_rows=2, max_waiting=1)
    submit(engine, "a")
    assert model.next_batch() == ["a"]
    model.allow()
    assert model.next_batch() == ["a"]
    assert engine.estimate_wait_s(1) == 0
    submit(engine, "b")
    one, three = engine.estimate_wait_s(1), engine.estimate_wait_s(3)
    assert 0 < one < three
    assert three == pytest.approx(3 * one)
    with pytest.raises(Overloaded) as refused:
        submit(engine, "c")
    assert refused.value.retry_after_s == pytest.approx(one)


def test_an_engine_needs_rows_for_a_guided_job(model: Any) -> None:
    with pytest.raises(ValueError, match="max_rows must be at least 2"):
        Engine(model, 1, 1)


def test_the_images_of_one_request_encode_once(
    components: Any, start_engine: Any, monkeypatch: Any
) -> None:
    parts = components(controlnet=True)
    encoded: list[str] = []
    for name, owner, method in (
        ("photo", parts.vae, "encode"),
        ("prompt", parts.text_encoder, "forward"),
    ):
        original = getattr(owner, method)

        def counted(
            *args: Any, _name: str = name, _original: Any = original, **options: Any
        ) -> Any:
            encoded.append(_name)
            return _original(*args, **options)

        monkeypatch.setattr(owner, method, counted)
    model = SteppedModel(parts)
    model.allow(1000)
    engine = start_engine(model)
    listeners = [submit(engine, f"{seed}", seed=seed)[0] for seed in range(4)]
    pixels = [heard.image().pixels.tobytes() for heard in listeners]
    assert len(set(pixels)) == 4
    assert sorted(encoded) == ["photo", "prompt", "prompt"]
    submit(engine, "other", a_photo(seed=9))[0].image()
    assert sorted(encoded) == ["photo", "photo", "prompt", "prompt"]


def test_every_job_ends_once_under_a_storm_of_cancels(model: Any, start_engine: Any) -> None:
    engine = start_engine(model, max_rows=6, max_waiting=100)
    model.allow(10_000)
    rng = random.Random(0)  # noqa: S311 - no secret
    photos = [a_photo(), a_photo(width=96), a_photo(height=96)]
    jobs = []
    for number in range(60):
        heard, ticket = submit(
            engine,
            f"{number}",
            rng.choice(photos),
            steps=rng.randint(1, 4),
            strength=1.0,
            guidance_scale=rng.choice([1.0, 4.0]),
        )
        jobs.append((heard, ticket))
        if rng.random() < 0.4:
            rng.choice(jobs)[1].cancel()
    cancelled = [heard for heard, ticket in jobs if not heard.ends and rng.random() < 0.3]
    for heard, ticket in jobs:
        if heard in cancelled:
            ticket.cancel()
    engine.close(drain_s=60)
    for heard, _ in jobs:
        assert len(heard.ends) <= 1
        assert all(not isinstance(end, Exception) for end in heard.ends)
    assert sum(len(heard.ends) for heard, _ in jobs) >= 10
