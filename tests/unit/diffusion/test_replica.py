"""The replica: engine events as an asynchronous generator, health, and its end."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ray.util.metrics import Metric
from stepped import PATIENCE_S, SteppedModel, a_job, a_photo

from deployments.diffusion.deployment import ModelReplica
from deployments.diffusion.families.sd import family
from deployments.diffusion.metrics import EngineMetrics
from deployments.diffusion.weights.sources import WeightsError
from deployments.errors import InternalError, InvalidRequest, Overloaded, ReplicaLost, Unavailable
from deployments.jobs import ControlSettings, GeneratedImage, OpenedPhoto, Progress
from deployments.settings import ModelSettings
from tests.tiny_flux2 import save_tiny_flux2
from tests.tiny_models import save_tiny_weights


def opened() -> OpenedPhoto:
    return OpenedPhoto(a_photo(), None)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("replica") / "cups"
    save_tiny_weights(folder)
    return folder


@pytest.fixture
def start(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., tuple[ModelReplica, SteppedModel]]]:
    """Starts replicas whose steps wait for the test."""
    models: list[SteppedModel] = []
    replicas: list[ModelReplica] = []

    def stepped(
        prompts: Any, networks: Any, scheduler: Any, _: Any, **options: Any
    ) -> SteppedModel:
        models.append(SteppedModel(prompts.components, scheduler, networks=networks, **options))
        return models[-1]

    def start(**changes: Any) -> tuple[ModelReplica, SteppedModel]:
        replicas.append(ModelReplica(_settings(folder, **changes)))
        return replicas[-1], models[-1]

    monkeypatch.setattr(family, "StableDiffusion", stepped)
    yield start
    for model in models:
        model.allow(1000)
    for replica in replicas:
        replica.__del__()


def _settings(weights: object, **changes: Any) -> ModelSettings:
    fixed = {"device": "cpu", "backend": "torch", "dtype": "float32", "threads": 1}
    return ModelSettings(id="cups", name="Cups", weights=str(weights), **(fixed | changes))


async def next_batch(model: SteppedModel) -> list[str]:
    return await asyncio.to_thread(model.next_batch)


async def test_progress_and_then_the_image(start: Any) -> None:
    replica, model = start(control_scale=0.7, control_start=0.2, control_end=0.9)
    model.allow(1000)
    job = a_job(steps=6, strength=0.5)
    *progress, image = [item async for item in replica.generate(job, opened(), True)]
    assert progress == [Progress(1, 3), Progress(2, 3), Progress(3, 3)]
    assert isinstance(image, GeneratedImage)
    assert image.weights == "cups"
    assert image.control == ControlSettings(0.7, 0.2, 0.9)


async def test_a_replica_of_an_editing_model(tmp_path: Path) -> None:
    save_tiny_flux2(tmp_path / "klein")
    replica = ModelReplica(_settings(tmp_path / "klein", family="flux2", backend="auto", size=64))
    photo = replace(a_photo(), references=(a_photo(80, 64).pixels,))
    try:
        job = a_job(steps=3, guidance_scale=1.0)
        made = replica.generate(job, OpenedPhoto(photo, None), True)
        *progress, image = [item async for item in made]
        assert progress == [Progress(1, 3), Progress(2, 3), Progress(3, 3)]
        assert isinstance(image, GeneratedImage)
        assert image.pixels.shape == photo.pixels.shape
        assert image.weights == "klein"
        with pytest.raises(InvalidRequest, match=r"^guidance_scale: this model is distilled"):
            await anext(replica.generate(a_job(guidance_scale=4.0), OpenedPhoto(photo, None), True))
    finally:
        replica.__del__()


async def test_only_the_image_when_progress_is_not_wanted(start: Any) -> None:
    replica, model = start()
    model.allow(1000)
    [image] = [item async for item in replica.generate(a_job(), opened(), False)]
    assert isinstance(image, GeneratedImage)


async def test_closing_the_generator_cancels_the_job(start: Any) -> None:
    replica, model = start()
    items = replica.generate(a_job("left"), opened(), True)
    first = asyncio.ensure_future(anext(items))
    assert await next_batch(model) == ["left"]
    model.allow()
    assert await first == Progress(1, 4)
    assert await next_batch(model) == ["left"]
    await items.aclose()
    after = asyncio.ensure_future(anext(replica.generate(a_job("next"), opened(), True)))
    await asyncio.sleep(0)
    model.allow()
    assert await next_batch(model) == ["next"]
    model.allow(1000)
    await after


async def test_cancelling_the_caller_cancels_the_job(start: Any) -> None:
    replica, model = start(max_rows=2)
    left = asyncio.ensure_future(anext(replica.generate(a_job("left"), opened(), False)))
    assert await next_batch(model) == ["left"]
    after = asyncio.ensure_future(anext(replica.generate(a_job("next"), opened(), False)))
    await asyncio.sleep(0)
    left.cancel()
    with pytest.raises(asyncio.CancelledError):
        await left
    model.allow()
    assert await next_batch(model) == ["next"]
    model.allow(1000)
    assert isinstance(await after, GeneratedImage)


async def test_errors_that_a_caller_may_see_pass(start: Any) -> None:
    replica, model = start(max_rows=2, max_waiting=1)
    with pytest.raises(InvalidRequest, match="leaves none"):
        await anext(replica.generate(a_job(strength=0.01), opened(), True))
    running = [
        asyncio.ensure_future(anext(replica.generate(a_job(key), opened(), False)))
        for key in ("running", "waiting")
    ]
    assert await next_batch(model) == ["running"]
    with pytest.raises(Overloaded):
        await anext(replica.generate(a_job("refused"), opened(), False))
    model.allow(1000)
    await asyncio.gather(*running)


async def test_other_errors_say_nothing(start: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    replica, model = start()

    def fail(_: Any) -> Any:
        raise RuntimeError("secret path")

    monkeypatch.setattr(model, "predict", fail)
    with pytest.raises(InternalError) as caught:
        await anext(replica.generate(a_job(), opened(), True))
    assert str(caught.value) == "the model failed to make this image"


async def test_health_follows_the_engine(start: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    replica, model = start()
    replica.check_health()

    def die(_: Any) -> Any:
        raise SystemExit

    monkeypatch.setattr(model, "predict", die)
    with pytest.raises(ReplicaLost):
        await anext(replica.generate(a_job(), opened(), True))
    with pytest.raises(Unavailable):
        replica.check_health()


async def test_its_end_ends_the_engine(start: Any) -> None:
    replica, _ = start()
    replica.__del__()
    with pytest.raises(ReplicaLost):
        await anext(replica.generate(a_job(), opened(), True))


def test_a_model_that_cannot_load_says_why_in_one_sentence(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(WeightsError) as caught:
        ModelReplica(_settings(tmp_path))
    sentence = f"weights: {tmp_path} has no model_index.json"
    assert str(caught.value) == sentence
    assert caught.value.__cause__ is None
    assert f"model cups cannot start: {sentence}" in caplog.messages


def test_networks_that_cannot_be_made_are_told_the_same_way(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise WeightsError("These networks cannot be made.")

    monkeypatch.setattr(family, "create_networks", refuse)
    with pytest.raises(WeightsError, match="cannot be made"):
        ModelReplica(_settings(folder))
    assert "model cups cannot start: These networks cannot be made." in caplog.messages


async def test_a_real_replica_makes_an_image_and_counts_its_work(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded: list[tuple[str, float, dict[str, str]]] = []

    def record(self: Any, value: float, tags: Any = None) -> None:
        recorded.append((self.info["name"], value, self._get_final_tags(tags)))

    # Ray has no way to read what was recorded but its exporter, which a unit test does not start.
    monkeypatch.setattr(Metric, "_record", record)
    replica = ModelReplica(_settings(folder))
    try:
        job = a_job(steps=6, strength=0.5)
        *progress, image = [item async for item in replica.generate(job, opened(), True)]
        assert len(progress) == 3
        assert isinstance(image, GeneratedImage)
    finally:
        replica.__del__()
    values = {name: [value for its, value, _ in recorded if its == name] for name, *_ in recorded}
    assert values["backdrop_engine_ticks"] == [1, 1, 1]
    assert values["backdrop_engine_tick_rows"] == [2, 2, 2]
    assert len(values["backdrop_engine_tick_seconds"]) == 3
    [waited_s] = values["backdrop_engine_admission_wait_seconds"]
    assert 0 < waited_s < image.engine_s
    assert {tags["model"] for _, _, tags in recorded} == {"cups"}
    stages = {tags["stage"] for _, _, tags in recorded if "stage" in tags}
    assert stages == {"preparing", "ready", "decoding"}
    last = [(tags["stage"], value) for _, value, tags in recorded if "stage" in tags][-3:]
    assert last == [("preparing", 0), ("ready", 0), ("decoding", 0)]


def test_cancels_and_memory_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    recorded: list[tuple[str, float]] = []
    monkeypatch.setattr(
        Metric,
        "_record",
        lambda self, value, tags=None: recorded.append((self.info["name"], value)),
    )
    metrics = EngineMetrics("cups")
    metrics.cancelled(0.5)
    metrics.ran_out_of_memory()
    assert recorded == [
        ("backdrop_engine_cancel_latency_seconds", 0.5),
        ("backdrop_engine_out_of_memory", 1),
    ]


def test_metrics_need_no_running_ray() -> None:
    metrics = EngineMetrics("cups")
    metrics.ticked(2, 0.5)
    metrics.queued(1, 2, 3)


def test_wiring_imports_neither_torch_nor_ray() -> None:
    code = (
        "import deployments.diffusion.deployment, sys; "
        "sys.exit('torch' in sys.modules or 'ray' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=PATIENCE_S)
