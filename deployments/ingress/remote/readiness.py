"""Says in the log when the application is ready, and where: `serve run` does not.

Each ingress replica looks at Serve until every model is ready or has failed, and then never again.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress

from ray import serve
from ray.exceptions import RayError
from ray.serve.context import _get_global_client
from ray.serve.schema import ServeInstanceDetails

logger = logging.getLogger(__name__)

INTERVAL_S = 2.0
READY = frozenset({"HEALTHY", "UPSCALING", "DOWNSCALING"})
FAILED = "DEPLOY_FAILED"


def announce_readiness(models: Sequence[str]) -> None:
    """Log one line once it is known of every model whether it works; this returns at once.

    Args:
        models: Catalog ids, which are the names of their deployments.
    """
    threading.Thread(target=_wait_and_tell, args=(models,), daemon=True).start()


def readiness(url: str, models: Sequence[str], statuses: Mapping[str, str]) -> str | None:
    """The line to log, or None while a model may still be loading.

    Args:
        url: Where the application is.
        models: Catalog ids.
        statuses: Serve's word for each deployment, by its name.
    """
    if any(statuses.get(name) not in READY | {FAILED} for name in models):
        return None
    ready = [name for name in models if statuses[name] in READY]
    failed = [name for name in models if statuses[name] == FAILED]
    line = f"ready on {url} with {', '.join(ready)}" if ready else f"no model works on {url}"
    return f"{line}; these cannot start: {', '.join(failed)}" if failed and ready else line


def _wait_and_tell(models: Sequence[str]) -> None:
    name = serve.get_replica_context().app_name
    while True:
        time.sleep(INTERVAL_S)
        # While the controller is away there is nothing to look at.
        with suppress(RayError):
            line = _look(name, models)
            if line is not None:
                logger.info("%s", line)
                return


def _look(name: str, models: Sequence[str]) -> str | None:
    # Not public, but only it has the address: a replica's own configuration does not tell.
    client = _get_global_client(raise_if_no_controller_running=False)
    if client is None:
        return None
    application = ServeInstanceDetails(**client.get_serve_details()).applications.get(name)
    if application is None:
        return None
    http = client.http_config
    url = f"http://{http.host}:{http.port}{application.route_prefix or ''}"
    statuses = {each: details.status.value for each, details in application.deployments.items()}
    return readiness(url, models, statuses)
