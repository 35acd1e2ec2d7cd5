"""What went wrong in, or on the way to, another deployment, as errors that a caller may see."""

from __future__ import annotations

import logging

from ray.exceptions import (
    NodeDiedError,
    ObjectLostError,
    RayActorError,
    RayTaskError,
    TaskCancelledError,
    WorkerCrashedError,
)
from ray.serve.exceptions import (
    BackPressureError,
    DeploymentUnavailableError,
    RayServeException,
)

from deployments.errors import (
    InternalError,
    Overloaded,
    ReplicaLost,
    ServiceError,
    StorageDown,
    Unavailable,
)
from deployments.ingress.http.problems import UNEXPECTED
from storage.errors import (
    CorruptObject,
    StorageError,
    StorageFull,
    StorageGone,
    StorageUnavailable,
)

logger = logging.getLogger(__name__)

RETRY_AFTER_S = 5.0
"""Suggested wait when a part is down: about what a replica takes to come back."""

FULL_RETRY_AFTER_S = 60.0
"""Suggested wait while a disk is full: somebody has to make room."""


def translate(error: BaseException, callee: str) -> ServiceError:
    """The error a caller may see for what happened in, or on the way to, another deployment.

    Args:
        error: What the handle raised.
        callee: Who was called, for the sentence.
    """
    while isinstance(error, RayTaskError):
        # Unwrapped first: it poses as its cause, and its text holds a traceback and addresses.
        error = error.cause
    if isinstance(error, RayServeException) and isinstance(error.__cause__, RayActorError):
        error = error.__cause__  # of a replica whose answer was an argument
    match error:
        case ServiceError():
            return error
        case CorruptObject():
            logger.error("the storage holds a damaged object: %s", error)
            return InternalError("the stored image is damaged")
        case StorageFull() | StorageGone():  # only somebody who mends it can help
            logger.error("the storage cannot serve until somebody acts: %s", error)
            what = "is full" if isinstance(error, StorageFull) else "is not available now"
            return Unavailable(f"the storage {what}", FULL_RETRY_AFTER_S)
        case StorageUnavailable():
            logger.error("the storage cannot serve: %s", error)
            return StorageDown("the storage is not available now", RETRY_AFTER_S)
        case StorageError():
            logger.error("the storage failed: %s", error)
            return Unavailable("the storage is not available now", RETRY_AFTER_S)
        case BackPressureError():
            return Overloaded(f"{callee} has no room now", RETRY_AFTER_S)
        case DeploymentUnavailableError():
            return Unavailable(f"{callee} is not available", RETRY_AFTER_S)
        case (
            RayActorError()
            | WorkerCrashedError()
            | NodeDiedError()
            | ObjectLostError()
            | TaskCancelledError()
        ):
            logger.warning("%s lost a replica or what it held: %s", callee, type(error).__name__)
            return ReplicaLost(f"{callee} is not available now", RETRY_AFTER_S)
        case RayServeException():
            logger.error("%s could not be called: %s", callee, error)
            return Unavailable(f"{callee} is not available now", RETRY_AFTER_S)
    logger.error("%s failed", callee, exc_info=error)
    return InternalError(UNEXPECTED)
