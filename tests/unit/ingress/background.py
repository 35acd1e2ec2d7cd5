"""Replicas in memory that work on background requests, and what a client does with these."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import httpx

from deployments.background_settings import BackgroundSettings
from deployments.settings import IngressSettings
from tests.unit.ingress.memory import Surface, png, surface

ASYNC = {"Prefer": "respond-async"}
EVENTS = {"Accept": "text/event-stream"}


def settings(**changes: object) -> IngressSettings:
    bounds = {"poll_s": 0.05, **changes}
    return IngressSettings(background=BackgroundSettings(**bounds))


@asynccontextmanager
async def at_work(*replicas: Surface) -> AsyncIterator[None]:
    """The replicas work on what waits, until the end of the block."""
    tasks = [asyncio.create_task(replica.service.background.run()) for replica in replicas]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def submit(api: Surface, *, headers: dict | None = None, **fields: object) -> httpx.Response:
    data = {"prompt": "Perfume backdrop", "model": "stable-diffusion", "num_images": "2"}
    data.update({name: str(value) for name, value in fields.items()})
    return await api.client.post(
        "/api/generate",
        data=data,
        files={"image": ("photo.png", png())},
        headers={**ASYNC, **(headers or {})},
    )


async def submitted(api: Surface, **fields: object) -> str:
    """The path of a new job."""
    answer = await submit(api, **fields)
    assert answer.status_code == 202, answer.text
    return answer.headers["location"]


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.005)


async def until_state(api: Surface, path: str, *states: str) -> dict:
    async with asyncio.timeout(20):
        while (job := (await api.client.get(path)).json())["state"] not in states:
            await asyncio.sleep(0.02)
    return job


async def until_over(api: Surface, path: str) -> dict:
    return await until_state(api, path, "done", "failed", "cancelled")


async def followed(api: Surface, path: str, last_id: int = 0) -> list[tuple[int, str, dict]]:
    """Id, name and data of a job's events; 0 where there is no id."""
    headers = {**EVENTS, "Last-Event-ID": str(last_id)}
    answer = await api.client.get(path, headers=headers)
    assert answer.headers["content-type"].startswith("text/event-stream"), answer.text
    return told(answer.text)


def told(text: str) -> list[tuple[int, str, dict]]:
    events = []
    for block in text.replace("\r\n", "\n").split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line)
        with suppress(KeyError):
            events.append((int(fields.get("id", 0)), fields["event"], json.loads(fields["data"])))
    return events


def pair(folder: object, **changes: object) -> tuple[Surface, Surface]:
    """Two ingress replicas of one service."""
    one = surface(folder, settings(**changes))
    return one, surface(folder, settings(**changes), admission=one.admission)
