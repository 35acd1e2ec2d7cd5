"""The composition root: it makes the Serve application from the settings.

Only here the plain classes become deployments. The values here are defaults; the `deployments` list
of the Serve configuration overrides them by name.
"""

# No postponed annotations here: Serve reads the builder's annotations to validate the arguments.
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ray import serve
from ray.serve import Application

from deployments.admission.deployment import OnlyAdmission
from deployments.diffusion.deployment import ModelReplica
from deployments.diffusion.engine.fair_queue import MOST_DECODING, MOST_SIZES
from deployments.ingress.deployment import Ingress
from deployments.settings import MOST_ROWS, AppArgs
from deployments.studio.deployment import Studio
from deployments.studio.remote_finder import FinderReplica
from storage.deployment import Storage

ALLOCATOR = MappingProxyType({
    "MALLOC_MMAP_THRESHOLD_": "8589934592",
    "MALLOC_TRIM_THRESHOLD_": "8589934592",
})  # fmt: skip
"""Environment of the model replicas: glibc keeps memory between steps, which saves page faults.

`ray_actor_options` in a configuration replace all of a deployment's, so they must repeat these.
"""


def build(args: AppArgs) -> Application:
    """Compose the application: ingress, admission, studio, storage, and one deployment per model.

    The finder has one too where its settings ask for it.

    Args:
        args: The `args` of the application in the Serve configuration.
    """
    # A new version takes over before the old one stops. The old one ends the requests it holds. So
    # no request fails in a rolling update.
    handover: Any = {
        "max_surge_percent": 100,
        "graceful_shutdown_timeout_s": args.ingress.deadline_s,
    }
    storage = serve.deployment(name="storage", max_ongoing_requests=64, **handover)(Storage).bind(
        args.storage.store,
        args.storage.retention_s,
        args.storage.sweep_interval_s,
        request_retention_s=args.storage.request_retention_s,
        usage_retention_s=args.storage.usage_retention_s,
    )
    finder = args.studio.finder
    studio = serve.deployment(name="studio", max_ongoing_requests=64, **handover)(Studio).bind(
        args.studio,
        remote_finder=serve.deployment(
            name="finder",
            max_ongoing_requests=64,
            **handover,
            ray_actor_options={"num_gpus": 0.25} if finder.device == "cuda" else {},
        )(FinderReplica).bind(finder)
        if finder.own_deployment
        else None,
        safety={
            model.id: model.safety_threshold for model in args.models if model.safety == "nsfw"
        },
    )
    models = {
        model.id: serve.deployment(
            name=model.id,
            # One more than an engine can hold. So the engine refuses and tells how long to wait,
            # and Serve holds no request back. An engine holds the waiting images, of each size
            # those that have room (an image without guidance takes one row), and as many more
            # that went to the decoder before it was full.
            max_ongoing_requests=model.max_waiting
            + 2 * MOST_SIZES * (model.max_rows or MOST_ROWS)
            + MOST_DECODING,
            **handover,
            ray_actor_options={"runtime_env": {"env_vars": dict(ALLOCATOR)}},
        )(ModelReplica).bind(model)
        for model in args.models
    }
    # One replica counts for all. A second one would count for itself, so there is no handover.
    # Callers wait until it is back, so its health is checked often.
    admission = serve.deployment(
        name="admission",
        num_replicas=1,
        max_ongoing_requests=10_000,
        ray_actor_options={"num_cpus": 0.1},
        graceful_shutdown_timeout_s=2,
        health_check_period_s=2,
    )(OnlyAdmission).bind(
        {model.id: args.ingress.max_waiting_images for model in args.models},
        max_wait_s=args.ingress.max_wait_s,
    )
    surface = serve.ingress()(Ingress)
    ingress = serve.deployment(
        name="ingress",
        max_ongoing_requests=256,
        **handover,
    )(surface)
    return ingress.bind(args, studio, storage, admission, models)


if TYPE_CHECKING:
    # The ingress calls the classes behind its handles by these protocols.
    from deployments.ingress.remote import callees

    _admission: type[callees.AdmissionCalls] = OnlyAdmission
    _studio: type[callees.StudioCalls] = Studio
    _model: type[callees.ModelCalls] = ModelReplica
    _results: type[callees.ResultCalls] = Storage
    _tiles: type[callees.TileCalls] = Storage
    _sources: type[callees.SourceCalls] = Storage
    _cutouts: type[callees.CutOutCalls] = Storage
    _answers: type[callees.AnswerCalls] = Storage
    _requests: type[callees.RequestCalls] = Storage
    _callbacks: type[callees.CallbackCalls] = Storage
    _usage: type[callees.UsageCalls] = Storage
