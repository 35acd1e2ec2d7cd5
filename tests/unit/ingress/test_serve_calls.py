"""Waiting for another deployment's answer, without Ray."""

from __future__ import annotations

import asyncio
import gc

import pytest

from deployments.errors import ReplicaLost
from deployments.ingress.remote.serve_calls import Callee


class Handle:
    deployment_name = "studio"
    app_name = "main"


@pytest.fixture
def callee() -> Callee:
    return Callee(Handle(), "the studio", observer=None, outage_s=20)


async def test_a_call_that_the_replica_gave_up_is_one_whose_replica_was_lost(callee):
    answer = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(answer.cancel)
    with pytest.raises(ReplicaLost, match="the studio is not available now"):
        await callee.patiently(answer)


async def test_who_leaves_cancels_the_call_and_its_end_troubles_nobody(callee):
    begun, complaints = asyncio.Event(), []
    asyncio.get_running_loop().set_exception_handler(lambda _, said: complaints.append(said))

    async def answer() -> None:
        begun.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            raise ValueError("too late") from None

    waiting = asyncio.create_task(callee.patiently(answer()))
    await begun.wait()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await asyncio.sleep(0)
    gc.collect()
    assert complaints == []
