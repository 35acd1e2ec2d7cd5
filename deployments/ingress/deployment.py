"""The ingress replica: the HTTP application over Serve's handles."""

from __future__ import annotations

from importlib.metadata import version

from fastapi import FastAPI
from ray.exceptions import TaskCancelledError
from ray.serve.context import _get_global_client

from deployments.ingress.core.callbacks.signing import Signer
from deployments.ingress.core.ports import Backends
from deployments.ingress.core.service import Service
from deployments.ingress.core.usage import DailyUsage, Usage
from deployments.ingress.http import presets
from deployments.ingress.http.api import create_api
from deployments.ingress.http.api_keys import KeyRing
from deployments.ingress.http.exposure import check_exposure
from deployments.ingress.remote.metrics import (
    ApiMetrics,
    CallbackCounter,
    ImageMetrics,
    RetryCounter,
    UsageMetrics,
)
from deployments.ingress.remote.readiness import announce_readiness
from deployments.ingress.remote.receivers import HttpReceivers
from deployments.ingress.remote.remote_backends import AdmissionHandle, ModelHandles, StudioHandle
from deployments.ingress.remote.request_backends import (
    CallbacksHandle,
    RequestsHandle,
    UnfinishedHandle,
    UploadsHandle,
)
from deployments.ingress.remote.running_replicas import RunningReplicas, looking_at_serve
from deployments.ingress.remote.serve_calls import Handle
from deployments.ingress.remote.stored_backends import (
    AnswersHandle,
    CutOutsHandle,
    OwnedHandle,
    ResultsHandle,
    SourcesHandle,
    TilesHandle,
    UsageHandle,
)
from deployments.logs import join_replica_log
from deployments.settings import AppArgs


class Ingress:
    """One replica of the HTTP surface.

    Args:
        args: The application's arguments.
        studio: The studio deployment.
        storage: The storage deployment.
        admission: The admission deployment.
        models: The model deployments by catalog id.
    """

    def __init__(
        self,
        args: AppArgs,
        studio: Handle,
        storage: Handle,
        admission: Handle,
        models: dict[str, Handle],
    ) -> None:
        join_replica_log()
        self._keys = keys = KeyRing.from_environment(args.ingress.max_images)
        check_exposure(args.ingress, keyed=self._keys is not None, host=_http_host())
        if faults := list(presets.faults(args)):
            raise ValueError(f"args.presets.{faults[0]}")
        webhooks = args.ingress.webhooks
        signer = Signer() if webhooks.enabled else None
        self._args = args
        self._version = version("backdrop")
        retries, images, outage_s = RetryCounter(), ImageMetrics(), args.ingress.outage_s
        usage = args.ingress.usage
        daily = None
        if usage.daily:
            written = UsageHandle(storage, retries, outage_s)
            daily = DailyUsage(written, usage.write_interval_s)
        counting = []
        if usage.metric_keys:
            counting.append(
                UsageMetrics(usage.metric_keys, lambda: () if keys is None else keys.names)
            )
        pixels = StudioHandle(studio, retries, outage_s)
        self._service = Service(
            catalog=args.models,
            settings=args.ingress,
            backends=Backends(
                studio=pixels,
                cutter=pixels,
                models=ModelHandles(models, retries, outage_s, images),
                results=ResultsHandle(storage, retries, outage_s, images),
                owned=OwnedHandle(storage, retries, outage_s),
                tiles=TilesHandle(storage, retries, outage_s),
                sources=SourcesHandle(storage, retries, outage_s),
                cutouts=CutOutsHandle(storage, retries, outage_s),
                answers=AnswersHandle(storage, retries, outage_s),
                requests=RequestsHandle(storage, retries, outage_s),
                unfinished=UnfinishedHandle(storage, retries, outage_s),
                uploads=UploadsHandle(storage, retries, outage_s),
                callbacks=CallbacksHandle(storage, retries, outage_s),
                receivers=HttpReceivers(webhooks, signer, CallbackCounter()),
                admission=AdmissionHandle(admission, retries, outage_s),
                replicas=RunningReplicas(
                    sorted(args.frame - {"ingress"}), looking_at_serve(storage.app_name)
                ),
                usage=Usage(counting, daily),
            ),
            rates_of=lambda name: (
                args.ingress.rates if keys is None else keys.rates_of(name, args.ingress.rates)
            ),
            studio=args.studio,
            version=self._version,
        )
        announce_readiness([model.id for model in args.models])

    def __serve_build_asgi_app__(self) -> FastAPI:
        """Build the application in the replica, so that it never has to be pickled."""
        return create_api(
            self._service,
            self._args.ingress,
            version=self._version,
            retention_s=self._args.storage.retention_s,
            keys=self._keys,
            sends_request_id=False,  # Serve's proxy puts it into the answer
            observer=ApiMetrics(),
            departures=(TaskCancelledError,),
            presets=self._args.presets,
        )


def _http_host() -> str | None:
    """What Serve's HTTP proxies listen on; None where there are none."""
    # Not public, but the only place that knows: a replica's own configuration does not tell.
    client = _get_global_client(raise_if_no_controller_running=False)
    if client is None:
        return None
    host: str | None = client.http_config.host
    return host
