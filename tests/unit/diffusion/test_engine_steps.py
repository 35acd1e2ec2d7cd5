"""Who is in which step: joining, leaving, cancelling, turns and room."""

from __future__ import annotations

import random
import time
from typing import Any

import numpy as np
import pytest
from gated import GatedModel, Recorder
from stepped import Listener, a_job, a_photo, submit

from deployments.errors import InvalidRequest, Overloaded
from deployments.jobs import Progress


@pytest.fixture
def model() -> GatedModel:
    return GatedModel()


@pytest.fixture
def told() -> Recorder:
    return Recorder()


@pytest.fixture
def start(start_engine: Any, model: Any, told: Any) -> Any:
    return lambda **options: start_engine(model, observer=told, **options)


def test_a_job_joins_at_the_next_step_and_leaves_when_done(model: Any, told: Any, start: Any):
    engine = start()
    submit(engine, "a", steps=4, strength=1.0)
    assert model.next_batch() == ["a"]
    submit(engine, "b", steps=2, strength=1.0)
    told.until_lengths(0, 1, 0)
    model.allow()
    assert model.next_batch() == ["a", "b"]
    model.allow()
    assert model.next_batch() == ["a", "b"]
    model.allow()
    assert model.next_batch() == ["a"]


def test_progress_comes_after_each_step_and_then_the_image(model: Any, told: Any, start: Any):
    heard, _ = submit(start(), steps=6, strength=0.5, seed=7)
    model.allow(1000)
    image = heard.image()
    assert heard.progress == [Progress(1, 3), Progress(2, 3), Progress(3, 3)]
    assert heard.events[-1] is image
    assert np.array_equal(image.pixels, np.full((64, 64, 3), 3 * 7))
    assert image.weights == "counting"
    assert image.control == model.control
    assert 0 < told.waits[0] < image.engine_s


def test_a_running_job_is_cancelled_within_one_step(model: Any, told: Any, start: Any):
    engine = start()
    submit(engine, "a")
    assert model.next_batch() == ["a"]
    heard, ticket = submit(engine, "b")
    told.until_lengths(0, 1, 0)
    model.allow()
    assert model.next_batch() == ["a", "b"]
    ticket.cancel()
    assert told.latencies == []
    model.allow()
    assert model.next_batch() == ["a"]
    assert heard.events == []
    assert len(told.latencies) == 1
    assert told.latencies[0] > 0
    ticket.cancel()
    assert len(told.latencies) == 1


def test_a_cancelled_job_gives_its_rows_to_the_next(model: Any, told: Any, start: Any):
    engine = start(max_rows=2)
    _, ticket = submit(engine, "a")
    submit(engine, "b")
    assert model.next_batch() == ["a"]
    told.until_lengths(0, 1, 0)
    ticket.cancel()
    model.allow()
    assert model.next_batch() == ["b"]


def test_a_cancelled_job_of_another_size_gives_its_rows_at_once(model: Any, told: Any, start: Any):
    engine = start(max_rows=2)
    submit(engine, "a", steps=1, strength=1.0)
    assert model.next_batch() == ["a"]
    _, narrow = submit(engine, "narrow", a_photo(width=32))
    submit(engine, "after", a_photo(width=32))
    submit(engine, "b")
    told.until_lengths(1, 2, 0)
    model.allow()
    assert model.next_batch() == ["narrow"]
    model.allow()
    assert model.next_batch() == ["b"]
    narrow.cancel()
    assert len(told.latencies) == 1
    told.until_lengths(0, 1, 0)
    model.allow()
    assert model.next_batch() == ["after"]


def test_a_cancelled_waiting_job_gives_its_place_at_once(model: Any, start: Any):
    engine = start(max_rows=2, max_waiting=1)
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


def test_cancelling_from_a_listener_ends_the_job_there(model: Any, told: Any, start: Any):
    engine = start()
    heard = Listener()
    tickets: list[Any] = []

    def cancel_at_first_step(event: Any) -> None:
        heard(event)
        tickets[0].cancel()

    tickets.append(engine.submit(a_job("a"), a_photo(), cancel_at_first_step))
    assert model.next_batch() == ["a"]
    submit(engine, "b")
    told.until_lengths(0, 1, 0)
    model.allow()
    assert model.next_batch() == ["b"]
    assert heard.events == [Progress(1, 4)]


def test_sizes_take_turns_by_the_time_they_took(model: Any, told: Any, start: Any):
    engine = start()
    submit(engine, "a", steps=100)
    assert model.next_batch() == ["a"]
    submit(engine, "large", a_photo(128, 128))
    submit(engine, "b", steps=100)
    submit(engine, "c", steps=100)
    told.until_lengths(0, 3, 0)
    order = []
    for turn in range(14):
        if turn == 1:
            # The large one is held up, which is not its job's fault.
            model.now += 1000
        model.allow()
        order.append(model.next_batch())
    small = [["a", "b", "c"]]
    # The first of all was free. A row of a large one takes as long as four of the others.
    assert order == [["large"], *small * 4, ["large"], *small * 4, ["large"], *small * 3]


def test_rows_are_capped_and_admission_is_first_come(model: Any, told: Any, start: Any):
    engine = start(max_rows=5)
    submit(engine, "a", steps=1, strength=1.0)
    assert model.next_batch() == ["a"]
    submit(engine, "b")
    submit(engine, "c")
    submit(engine, "unguided", guidance_scale=1.0)
    submit(engine, "last", guidance_scale=0.0)
    told.until_lengths(1, 3, 0)
    model.allow()
    assert model.next_batch() == ["b", "c", "unguided"]


def test_a_full_size_holds_up_no_other(model: Any, told: Any, start: Any):
    engine = start(max_rows=2)
    submit(engine, "a", steps=3, strength=1.0)
    assert model.next_batch() == ["a"]
    submit(engine, "b")
    submit(engine, "c")
    submit(engine, "wide", a_photo(width=96))
    told.until_lengths(1, 2, 0)
    model.allow()
    assert model.next_batch() == ["wide"]


def test_one_forward_is_prepared_ahead(model: Any, told: Any, start: Any):
    engine = start(max_rows=4)
    for key in "abcdefgh":
        submit(engine, key)
    assert model.next_batch()
    told.until(lambda recorder: recorder.lengths[1] == 2)
    model.allow()
    assert len(model.next_batch()) == 2
    told.until_lengths(4, 2, 0)
    assert model.begun["prepare"] == list("abcd")


def test_room_counts_what_fits_beside_the_running_jobs(model: Any, start: Any):
    engine = start(max_rows=4, max_waiting=2)
    heard = [submit(engine, key)[0] for key in "abcd"]
    with pytest.raises(Overloaded) as refused:
        submit(engine, "e")
    assert refused.value.retry_after_s == 0  # nothing was measured yet
    model.allow(1000)
    for one in heard:
        one.image()


def test_a_size_with_room_is_not_refused_for_another_s_queue(model: Any, start: Any):
    engine = start(max_rows=2, max_waiting=1)
    for key in "ab":
        submit(engine, key)
    with pytest.raises(Overloaded):
        submit(engine, "c")
    heard, _ = submit(engine, "wide", a_photo(width=96))
    with pytest.raises(Overloaded):
        submit(engine, "wider", a_photo(width=96))
    model.allow(1000)
    heard.image()


def test_the_wait_is_estimated_from_measured_steps(model: Any, told: Any, start: Any):
    engine = start(max_rows=2, max_waiting=1)
    submit(engine, "a")
    assert model.next_batch() == ["a"]
    model.allow()
    assert model.next_batch() == ["a"]
    submit(engine, "b")
    with pytest.raises(Overloaded) as refused:
        submit(engine, "c")
    # Four steps of two rows each, at what such a step was measured to take.
    ((rows, seconds),) = told.ticks
    assert rows == 2
    assert refused.value.retry_after_s == pytest.approx(4 * seconds)


def test_the_wait_grows_with_the_pictures(model: Any, start: Any):
    engine = start(max_rows=2, max_waiting=2)
    submit(engine, "a")
    assert model.next_batch() == ["a"]
    model.allow()
    assert model.next_batch() == ["a"]
    submit(engine, "b")
    submit(engine, "c")
    with pytest.raises(Overloaded) as small:
        submit(engine, "d")
    submit(engine, "large", a_photo(128, 128))
    with pytest.raises(Overloaded) as large:
        submit(engine, "larger", a_photo(128, 128))
    # Again one must leave, and one of the four jobs has four times the work.
    assert small.value.retry_after_s > 0
    assert large.value.retry_after_s == pytest.approx(7 / 4 * small.value.retry_after_s)


def test_what_the_model_cannot_run_is_refused_at_once(model: Any, start: Any):
    engine = start()
    with pytest.raises(InvalidRequest, match="leaves no step"):
        submit(engine, strength=0.01)
    assert model.begun == {}


def test_steps_waits_and_queues_are_observed(model: Any, told: Any, start: Any):
    engine = start(max_rows=2)
    heard = [submit(engine, key)[0] for key in "ab"]
    assert model.next_batch() == ["a"]
    told.until_lengths(0, 1, 0)
    told.until(lambda recorder: len(recorder.waits) == 1)
    begun = time.monotonic()
    # The second one waits longer than the first did, however busy the machine was then.
    while (held_s := time.monotonic() - begun) <= told.waits[0]:
        time.sleep(0.001)
    model.allow(1000)
    for one in heard:
        one.image()
    told.until_lengths(0, 0, 0)
    assert [rows for rows, _ in told.ticks] == [2] * 8
    assert len(told.waits) == 2
    assert told.waits[0] < held_s <= told.waits[1]
    assert told.latencies == []


def test_every_job_ends_once_under_a_storm_of_cancels(told: Any, start_engine: Any):
    model = GatedModel(held=(), memory=4)
    engine = start_engine(model, observer=told, max_rows=6, max_waiting=1000)
    rng = random.Random(0)  # noqa: S311 - no secret
    photos = [a_photo(width=64 + 16 * place) for place in range(6)]
    jobs = []
    for number in range(300):
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
    cancelled = [heard for heard, _ in jobs if not heard.ends and rng.random() < 0.3]
    for heard, ticket in jobs:
        if heard in cancelled:
            ticket.cancel()
    engine.close(drain_s=60)
    for heard, _ in jobs:
        assert len(heard.ends) <= 1
        assert all(not isinstance(end, Exception) for end in heard.ends)
        assert heard.ends == heard.events[-1:] or not heard.ends
    assert sum(len(heard.ends) for heard, _ in jobs) + len(told.latencies) == 300
    assert told.lengths == (0, 0, 0)
