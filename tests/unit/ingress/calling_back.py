"""Jobs with callbacks on replicas in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from deployments.background_settings import BackgroundSettings
from deployments.settings import IngressSettings
from deployments.webhook_settings import WebhookSettings
from tests.unit.ingress.background import submit
from tests.unit.ingress.memory import Surface
from tests.unit.ingress.receiving import Receiving

URL = "https://hooks.shop.example/backdrop?token=t0ken"


def settings(**changes: object) -> IngressSettings:
    hosts = {"hosts": ["hooks.shop.example", "*.many.example"], "retry_s": 0.05}
    return IngressSettings(
        background=BackgroundSettings(poll_s=0.05), webhooks=WebhookSettings(**{**hosts, **changes})
    )


class Clock:
    """Seconds since 1970, as far as callbacks see them."""

    def __init__(self, *replicas: Surface) -> None:
        self.now = 1_000_000.0
        for replica in replicas:
            replica.service.background.deliveries._clock = lambda: self.now


@asynccontextmanager
async def running(*replicas: Surface) -> AsyncIterator[None]:
    """All that a replica does beside its answers, until the end of the block."""
    async with AsyncExitStack() as stack:
        for replica in replicas:
            lifespan = replica.app.router.lifespan_context(replica.app)
            await stack.enter_async_context(lifespan)
        yield


async def called_back(api: Surface, **fields: object) -> str:
    """The path of a new job with callbacks."""
    answer = await submit(api, callback_url=URL, **fields)
    assert answer.status_code == 202, answer.text
    return answer.headers["location"]


async def callback(api: Surface, path: str, state: str = "done") -> dict:
    """How far a job's callbacks are, once they are so far."""
    async with asyncio.timeout(20):
        while (told := (await api.client.get(path)).json()["callback"])["state"] != state:
            await asyncio.sleep(0.02)
    return told


def types(receiver: Receiving) -> list[str]:
    return [body["type"] for _, _, body in receiver.messages]
