"""Whose jobs are seen by whom, how they are listed, and how many there may be."""

from __future__ import annotations

import pytest

from deployments.ingress.http.api_keys import KeyRing
from deployments.settings import IngressSettings
from tests.unit.ingress.background import (
    EVENTS,
    settings,
    submit,
    submitted,
)
from tests.unit.ingress.memory import Surface, surface


@pytest.fixture
def api(tmp_path) -> Surface:
    return surface(tmp_path, settings())


async def test_the_bounds_are_named(tmp_path):
    api = surface(
        tmp_path,
        settings(max_per_key=2, max_in_all=3),
        keys=KeyRing({"one": "secret-1", "two": "secret-2"}),
    )
    one, two = {"X-API-Key": "secret-1"}, {"X-API-Key": "secret-2"}
    paths = [(await submit(api, headers=one)).headers["location"] for _ in range(2)]
    refused = await submit(api, headers=one)
    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_waiting")
    assert "this key has as many unfinished background requests as may be, 2" in refused.text
    assert int(refused.headers["retry-after"]) >= 1
    assert (await submit(api, headers=two)).status_code == 202
    assert "there are as many" in (await submit(api, headers=two)).text
    await api.client.delete(paths[0], headers=one)
    assert (await submit(api, headers=one)).status_code == 202


async def test_another_keys_job_is_not_there(tmp_path):
    api = surface(tmp_path, settings(), keys=KeyRing({"one": "secret-1", "two": "secret-2"}))
    one, two = {"X-API-Key": "secret-1"}, {"X-API-Key": "secret-2"}
    path = (await submit(api, headers=one)).headers["location"]
    for answer in (
        await api.client.get(path, headers=two),
        await api.client.get(path, headers={**two, **EVENTS}),
        await api.client.delete(path, headers=two),
        await api.client.get(f"/api/jobs/{'0' * 32}", headers=one),
        await api.client.get("/api/jobs/nonsense", headers=one),
    ):
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert (await api.client.get(path)).status_code == 401
    assert (await api.client.get("/api/jobs", headers=two)).json() == {"jobs": [], "cursor": None}
    assert (await api.client.get(path, headers=one)).json()["state"] == "waiting"


async def test_jobs_are_listed_newest_first_in_pages(api):
    ids = [(await submit(api)).json()["id"] for _ in range(5)]
    seen, cursor = [], ""
    while cursor is not None:
        page = (await api.client.get(f"/api/jobs?limit=2{cursor}")).json()
        seen += [job["id"] for job in page["jobs"]]
        cursor = page["cursor"] and f"&cursor={page['cursor']}"
    # Those of one millisecond are in no order.
    assert sorted(seen) == sorted(ids)
    assert [id[:12] for id in seen] == sorted(id[:12] for id in ids)
    assert all(id not in (page["cursor"] or "") for id in ids)


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("limit=0", "limit must be"),
        ("limit=101", "limit must be"),
        ("limit=x", "limit must be"),
        ("limit=1&limit=2", "limit: it is given more than once"),
        ("cursor=abc", "cursor must be"),
        ("cursor=", "cursor must be"),
        ("page=2", "unknown parameter: page"),
    ],
)
async def test_bad_parameters_are_named(api, query, sentence):
    answer = await api.client.get(f"/api/jobs?{query}")
    assert answer.status_code == 400
    assert answer.json()["error"].startswith(sentence)


async def test_strangers_list_nothing(tmp_path):
    api = surface(tmp_path, IngressSettings(allow_anonymous=True))
    path = await submitted(api)
    assert (await api.client.get("/api/jobs")).status_code == 404
    assert (await api.client.get(path)).status_code == 200
