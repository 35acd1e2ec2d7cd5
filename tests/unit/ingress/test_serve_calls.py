"""Waiting for another deployment's answer, without Ray."""

from __future__ import annotations

import asyncio
import gc

import pytest

from deployments.errors import ImageNotFound, ReplicaLost, StorageDown
from deployments.ingress.remote.failures import translate
from deployments.ingress.remote.serve_calls import Callee
from storage.errors import StorageFull, StorageGone, StorageUnavailable


@pytest.mark.parametrize(("failure", "told", "waits"), [
    (StorageUnavailable("away"), "the storage is not available now", True),
    (StorageGone("the folder is gone"), "the storage is not available now", False),
    (StorageFull("the disk is full"), "the storage is full", False),
])  # fmt: skip
def test_only_what_may_pass_by_itself_is_waited_for(failure, told, waits):
    shown = translate(failure, "the storage")
    assert (shown.status, shown.message) == (503, told)
    assert isinstance(shown, StorageDown) is waits
    assert (shown.retry_after_s >= 60) is not waits


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


async def load() -> None:
    """What is called."""


@pytest.mark.parametrize("answer", ["png", b""])
async def test_an_answer_is_given_as_it_is(answer):
    callee = Callee(Answering(answer), "it", None, 20.0)
    assert await callee.call(load) == answer
    assert await callee.find(load, missing="gone") == answer


async def test_none_is_an_answer_too():
    assert await Callee(Answering(None), "it", None, 20.0).call(load) is None


async def test_no_answer_is_an_image_that_is_not_found_where_one_was_asked_for():
    reply = Callee(Answering(None), "it", None, 20.0).find(load, missing="the image is gone")
    for _ in range(2):  # whoever else awaits it hears the same
        with pytest.raises(ImageNotFound, match="the image is gone"):
            await reply


class Answering(Handle):
    """A deployment with one answer to every call."""

    def __init__(self, answer: object) -> None:
        self._answer = answer

    @property
    def load(self) -> Answering:
        return self

    def remote(self) -> asyncio.Future[object]:
        answered = asyncio.get_running_loop().create_future()
        answered.set_result(self._answer)
        return answered
