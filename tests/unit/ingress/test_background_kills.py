"""A replica that is killed while it accepts a job: the same request finds the job, or makes it."""

from __future__ import annotations

import asyncio

import pytest

from deployments.ingress.core import idempotency
from deployments.ingress.core.background.submission import Submissions
from deployments.ingress.core.idempotency import Turn
from tests.unit.ingress.background import at_work, settings, submit, until_over
from tests.unit.ingress.memory import Surface, surface

KEY = {"Idempotency-Key": "order-1"}


@pytest.fixture
def api(tmp_path) -> Surface:
    return surface(tmp_path, settings(max_per_key=1))


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(idempotency, "POLL_S", 0.005)


def jobs(api: Surface) -> list[str]:
    return [name for name in api.names() if name.startswith("requests/")]


async def killed_at(api: Surface, monkeypatch, owner: type, method: str) -> None:
    """Submit, and let the replica go no further than to a call; what it held is then free."""

    async def die(*_: object) -> None:
        raise RuntimeError("killed")

    async def gone(_: Turn) -> None:
        """A killed process takes nothing back."""

    with monkeypatch.context() as patched:
        patched.setattr(owner, method, die)
        if method != "forget":
            patched.setattr(Turn, "forget", gone)
        answer = await submit(api, headers=KEY)
    assert answer.status_code == 500


async def test_a_job_whose_answer_was_not_kept_is_found_again(api, monkeypatch):
    await killed_at(api, monkeypatch, Turn, "keep")
    (stored,) = jobs(api)
    again = await submit(api, headers=KEY)
    assert again.status_code == 202, again.text
    assert again.headers["idempotent-replayed"] == "true"
    assert again.json()["id"] in stored
    third = await submit(api, headers=KEY)
    assert third.json() == again.json()
    assert jobs(api) == [stored]
    async with at_work(api):
        job = await until_over(api, again.headers["location"])
    assert (job["state"], len(api.models.jobs)) == ("done", 2)


async def test_a_job_that_was_not_stored_is_made_under_its_key(api, monkeypatch):
    await killed_at(api, monkeypatch, Submissions, "_store")
    assert jobs(api) == []
    (kept,) = [name for name in api.names() if name.startswith("answers/")]
    begun = api.store.get(kept).data.decode()
    again = await submit(api, headers=KEY)
    assert again.status_code == 202, again.text
    assert "idempotent-replayed" not in again.headers
    assert again.json()["id"] in begun
    assert len(jobs(api)) == 1


async def test_another_request_has_not_the_key_of_one_that_was_begun(api, monkeypatch):
    await killed_at(api, monkeypatch, Turn, "keep")
    other = await submit(api, headers=KEY, prompt="forest")
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_conflict")
    at_once = await submit(api, headers={**KEY, "Prefer": "handling=lenient"})
    assert (at_once.status_code, at_once.json()["code"]) == (409, "idempotency_conflict")


async def test_a_job_that_was_refused_leaves_its_key_free(api):
    assert (await submit(api)).status_code == 202
    refused = await submit(api, headers=KEY)
    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_waiting")
    async with at_work(api):
        other = refused
        async with asyncio.timeout(20):
            while other.status_code == 429:
                await asyncio.sleep(0.02)
                other = await submit(api, headers=KEY, prompt="forest")
    assert other.status_code == 202, other.text
    assert "idempotent-replayed" not in other.headers
