"""What GET /api/models tells a frontend, and when the service calls itself ready."""

from __future__ import annotations

import asyncio
import threading

import pytest
from ray.exceptions import RayActorError

from deployments.ingress.http.api_keys import KeyRing
from deployments.ingress.http.catalogue import _capabilities
from deployments.ingress.remote import running_replicas
from deployments.ingress.remote.running_replicas import RunningReplicas, with_replicas
from deployments.settings import IngressSettings, LoraSettings, ModelSettings, RateSettings
from tests.unit.ingress.memory import CATALOG, Surface, surface


async def listed(api: Surface) -> dict:
    answer = await api.client.get("/api/models")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_model_is_told_with_all_that_a_form_needs(api: Surface) -> None:
    first, second = (await listed(api))["models"]
    assert first == {
        "id": "stable-diffusion",
        "name": "Stable Diffusion",
        "family": "sd",
        "demo": True,
        "available": True,
        "defaults": {"steps": 4, "guidance_scale": 7.5, "strength": 0.8},
        "limits": {"steps": 50, "guidance_scale": 30.0, "strength": 1.0},
        "sizes": {"working": 64, "min_side": 64, "max_side": 1536},
        "capabilities": {
            "edit": False,
            "inpaint": True,
            "control": False,
            "negative_prompt": True,
            "style_image": False,
            "loras": False,
            "lora": False,
        },
        "loras": [],
        "starter_prompts": ["Perfume backdrop"],
    }
    assert (second["limits"]["steps"], second["starter_prompts"]) == (30, [])
    # What is told as the most is taken, and no more.
    for name, most in first["limits"].items():
        assert (await api.generate(num_images=1, **{name: most})).status_code == 200
        assert (await api.generate(num_images=1, **{name: most + 1})).status_code == 400


def test_capabilities_come_from_the_configuration() -> None:
    given = ModelSettings(
        id="a",
        name="A",
        weights="/weights",
        controlnet="/control",
        loras=(LoraSettings(weights="/lora"),),
    )
    told = _capabilities(given)
    assert (told.control, told.loras) == (True, True)


async def test_the_limits_are_the_configured_ones(tmp_path) -> None:
    settings = IngressSettings(
        max_images=3,
        max_prompt_chars=90,
        deadline_s=20,
        rates=RateSettings(images_per_minute=60),
    )
    made = surface(tmp_path, settings, retention_s=3600)
    async with made.client:
        told = await listed(made)
    assert told["limits"] == {
        "max_images": 3,
        "max_prompt_chars": 90,
        "max_body_bytes": 33_554_432,
        "max_json_bytes": 1_048_576,
        "max_pixels": 67_108_864,
        "max_side": 16_384,
        "max_aspect": 8.0,
        "deadline_s": 20.0,
        "retention_s": 3600.0,
        "requests_per_minute": None,
        "images_per_minute": 60,
    }
    assert told["formats"] == {
        "uploads": ["image/png", "image/jpeg", "image/webp"],
        "outputs": ["png", "jpeg", "webp"],
        "copy_widths": [128, 256, 512, 1024],
    }


async def test_a_model_without_a_replica_is_not_available(api: Surface) -> None:
    api.running.names.remove("controlnet")
    told = {model["id"]: model["available"] for model in (await listed(api))["models"]}
    assert told == {"stable-diffusion": True, "controlnet": False}


async def test_readiness_needs_the_default_model_and_the_frame(api: Surface) -> None:
    ready = await api.client.get("/api/ready")
    assert (ready.status_code, ready.json()) == (200, {"ready": True})
    # Another model than the first may be away.
    api.running.names.remove("controlnet")
    assert (await api.client.get("/api/ready")).status_code == 200
    api.running.names -= {CATALOG[0].id, "storage"}
    answer = await api.client.get("/api/ready")
    told = answer.json()
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert (told["ready"], told["missing"]) == (False, ["stable-diffusion", "storage"])
    assert told["code"] == "not_ready"
    assert told["error"] == "no replica is up of stable-diffusion, storage"
    assert (await api.client.head("/api/ready")).status_code == 503


async def test_readiness_needs_no_key_and_the_catalogue_does(tmp_path) -> None:
    made = surface(tmp_path, keys=KeyRing({"shop": "s3cret"}))
    async with made.client:
        assert (await made.client.get("/api/ready")).status_code == 200
        assert (await made.client.get("/api/models")).status_code == 401
        paths = (await made.client.get("/openapi.json")).json()["paths"]
    assert "security" not in paths["/api/ready"]["get"]
    assert "security" in paths["/api/models"]["get"]


DETAILS = {
    "applications": {
        "main": {
            "deployments": {
                "a": {"replicas": [{"state": "STARTING"}, {"state": "RUNNING"}]},
                "b": {"replicas": [{"state": "STARTING"}]},
                "c": {"replicas": []},
            }
        },
        "other": {"deployments": {"b": {"replicas": [{"state": "RUNNING"}]}}},
    }
}


def test_a_replica_runs_only_when_serve_says_so() -> None:
    assert with_replicas(DETAILS, "main") == {"a"}
    assert with_replicas(DETAILS, "gone") == frozenset()


class Looks:
    """A look that tests let wait or fail.

    Attributes:
        count: How often somebody looked.
        found: What is seen.
        may_end: Cleared, a look hangs.
        failure: What a look raises.
    """

    def __init__(self) -> None:
        self.count = 0
        self.found = frozenset({"a"})
        self.may_end = threading.Event()
        self.may_end.set()
        self.failure: Exception | None = None

    def __call__(self) -> frozenset[str]:
        self.count += 1
        self.may_end.wait(10)
        if self.failure is not None:
            raise self.failure
        return self.found


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let looks end before they are given up, however busy the machine is."""
    monkeypatch.setattr(running_replicas, "LONGEST_WAIT_S", 60)


async def test_all_who_ask_at_once_share_a_look(patient: None) -> None:
    looks = Looks()
    replicas = RunningReplicas(["studio"], looks)
    told = await asyncio.gather(*[replicas.running() for _ in range(20)])
    assert set(told) == {frozenset({"a"})}
    assert await replicas.running() == {"a"}
    assert looks.count == 1


async def test_what_is_old_is_looked_at_anew(
    patient: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = Looks()
    replicas = RunningReplicas([], looks)
    monkeypatch.setattr(running_replicas, "FRESH_S", 0)
    assert await replicas.running() == {"a"}
    looks.found = frozenset({"a", "b"})
    assert await replicas.running() == {"a", "b"}
    # While nobody tells, what was seen last stands.
    looks.failure = RayActorError()
    assert await replicas.running() == {"a", "b"}
    assert looks.count == 3


async def test_a_look_that_hangs_holds_no_answer_up(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = Looks()
    replicas = RunningReplicas([], looks)
    looks.may_end.clear()
    try:
        assert await replicas.running() == frozenset()
        assert await replicas.running() == frozenset()
        assert looks.count == 1
    finally:
        looks.may_end.set()
    monkeypatch.setattr(running_replicas, "LONGEST_WAIT_S", 60)
    assert await replicas.running() == {"a"}
    assert looks.count == 1
