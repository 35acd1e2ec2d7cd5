"""What the studio tells its callers when the finder's own replicas are in trouble."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest
from finder_files import known_file, settings
from ray.exceptions import ActorDiedError, RayTaskError, WorkerCrashedError
from ray.serve._private.common import DeploymentID
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError

from deployments.errors import InternalError, ReplicaLost, ServiceError, Unavailable
from deployments.finder_settings import FinderSettings
from deployments.studio.finder_weights import FinderError
from deployments.studio.remote_finder import FinderReplica, RemoteFinder

PIXELS = np.zeros((48, 64, 3), np.uint8)


class Failing:
    """A handle whose calls end with an error."""

    def __init__(self, error: BaseException) -> None:
        self._error = error
        self.coarse = self

    def remote(self, _: object) -> Failing:
        return self

    def result(self, *, timeout_s: float) -> Any:
        assert 0 < timeout_s < 600
        raise self._error


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ActorDiedError(), ReplicaLost),
        (WorkerCrashedError(), ReplicaLost),
        (TimeoutError(), Unavailable),
        (BackPressureError(1, 1), Unavailable),
        (DeploymentUnavailableError(DeploymentID("finder")), Unavailable),
        (RayTaskError("coarse", "traceback of 10.0.0.1", MemoryError("x")), InternalError),
    ],
    ids=lambda value: type(value).__name__,
)
def test_trouble_of_the_finder(error: Exception, told: type[ServiceError]) -> None:
    finder = RemoteFinder(Failing(error), FinderSettings())  # type: ignore[arg-type]
    with pytest.raises(told) as raised:
        finder.coarse(PIXELS)
    assert type(raised.value) is told
    assert "10.0.0.1" not in str(raised.value)
    assert "finder" in str(raised.value)
    assert (raised.value.retry_after_s is None) == (told is InternalError)


def test_a_replica_marks_what_its_network_marks(tmp_path: Any) -> None:
    chosen = settings(known_file(tmp_path, "isnet"), network="isnet", separate=True)
    replica = FinderReplica(chosen)
    assert (asyncio.run(replica.coarse(PIXELS)) == 255).all()
    asyncio.run(replica.check_health())
    assert RemoteFinder(Failing(OSError()), chosen).grid == 1024  # type: ignore[arg-type]


def test_a_replica_that_cannot_load_says_why_in_its_log(caplog: pytest.LogCaptureFixture) -> None:
    chosen = FinderSettings(network="isnet", weights="./nowhere.onnx")
    with pytest.raises(FinderError):
        FinderReplica(chosen)
    assert "the finder cannot start: finder.weights: ./nowhere.onnx does not exist" in caplog.text
