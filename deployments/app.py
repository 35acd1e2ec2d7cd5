"""The composition root: settings in, a Serve application out.

The only place that makes deployments of the plain classes. What stands here are defaults; the
`deployments` list of the Serve configuration overrides them by name.
"""

# No postponed annotations here: Serve reads the builder's to validate the arguments.
from types import MappingProxyType

from ray import serve
from ray.serve import Application

from deployments.diffusion.deployment import ModelReplica
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
    """Compose the application: ingress, studio, storage, and one deployment per model.

    Args:
        args: The `args` of the application in the Serve configuration.
    """
    storage = serve.deployment(name="storage", max_ongoing_requests=64)(Storage).bind(
        args.storage.store, args.storage.retention_s, args.storage.sweep_interval_s
    )
    studio = serve.deployment(name="studio", max_ongoing_requests=64)(Studio).bind(args.studio)
    models = {
        model.id: serve.deployment(
            name=model.id,
            max_ongoing_requests=model.max_waiting + (model.max_rows or MOST_ROWS),
            # Serve stops a replica after this, and an image must not die of a rolling update.
            graceful_shutdown_timeout_s=args.ingress.deadline_s,
            ray_actor_options={"runtime_env": {"env_vars": dict(ALLOCATOR)}},
        )(ModelReplica).bind(model)
        for model in args.models
    }
    surface = serve.ingress()(Ingress)
    ingress = serve.deployment(
        name="ingress",
        max_ongoing_requests=256,
        graceful_shutdown_timeout_s=args.ingress.deadline_s,
    )(surface)
    return ingress.bind(args, studio, storage, models)
