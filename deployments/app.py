"""The composition root: settings in, a Serve application out.

The only place that makes deployments of the plain classes. What stands here are defaults; the
`deployments` list of the Serve configuration overrides them by name.
"""

# No postponed annotations here: Serve reads the builder's to validate the arguments.
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
from storage.deployment import Storage

ALLOCATOR = MappingProxyType({
    "MALLOC_MMAP_THRESHOLD_": "8589934592",
    "MALLOC_TRIM_THRESHOLD_": "8589934592",
})  # fmt: skip
"""Environment of the model replicas: glibc keeps memory between steps, saving page faults.

A configuration's `ray_actor_options` replace a deployment's whole, so they name these again.
"""


def build(args: AppArgs) -> Application:
    """Compose the application: ingress, admission, studio, storage, and one deployment per model.

    Args:
        args: The `args` of the application in the Serve configuration.
    """
    # A new version takes over before the old one stops, which then ends what it holds: a rolling
    # update fails no request.
    handover: Any = {
        "max_surge_percent": 100,
        "graceful_shutdown_timeout_s": args.ingress.deadline_s,
    }
    storage = serve.deployment(name="storage", max_ongoing_requests=64, **handover)(Storage).bind(
        args.storage.store, args.storage.retention_s, args.storage.sweep_interval_s
    )
    studio = serve.deployment(name="studio", max_ongoing_requests=64, **handover)(Studio).bind(
        args.studio,
        safety={
            model.id: model.safety_threshold for model in args.models if model.safety == "nsfw"
        },
    )
    models = {
        model.id: serve.deployment(
            name=model.id,
            # What an engine can hold and one more, so that it is the engine that refuses, telling
            # how long to wait, and not Serve that holds back: the waiting images, of each size
            # those that have room (one with no guidance takes one row), and as many more that have
            # gone on to the decoder while it was not yet full.
            max_ongoing_requests=model.max_waiting
            + 2 * MOST_SIZES * (model.max_rows or MOST_ROWS)
            + MOST_DECODING,
            **handover,
            ray_actor_options={"runtime_env": {"env_vars": dict(ALLOCATOR)}},
        )(ModelReplica).bind(model)
        for model in args.models
    }
    # One replica counts for all: a second would count apart, so it has no handover either. Callers
    # wait for its return, which is why it is looked after so often.
    admission = serve.deployment(
        name="admission",
        num_replicas=1,
        max_ongoing_requests=10_000,
        ray_actor_options={"num_cpus": 0.1},
        graceful_shutdown_timeout_s=2,
        health_check_period_s=2,
    )(OnlyAdmission).bind(
        {model.id: args.ingress.max_waiting_images for model in args.models},
        args.ingress.rates,
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
    _sources: type[callees.SourceCalls] = Storage
    _answers: type[callees.AnswerCalls] = Storage
