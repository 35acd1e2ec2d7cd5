"""What the models of the gpu overlay take of a GPU, and what a load takes of a cluster.

    python k8s/sizing.py

prints the tables of k8s/README.md. Parameters and operations are counted on networks built without
memory from the configurations that the checkpoints publish; what a CPU-side operation takes was
measured, and stands below. How much of a GPU's peak the networks reach is an assumption, named as
such: it knows no GPU.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from network_costs import CONFIG, EDITING_CONFIG, GPU, GPUS, Cost, costs

from deployments.config import read_config

BUSY = 0.7
"""The share of its capacity at which a replica is planned to run: the rest is for bursts, and for
the time until a further replica is there."""

IMAGES_PER_REQUEST = 4
CONTEXT_GB = 0.6
"""Of a GPU, by each process that uses it: CUDA's context and the libraries' workspaces."""

STUDIO_S = 4.4
INGRESS_S = 0.40
STORAGE_S = 0.16
"""CPU seconds of a deployment for a request of four images that are fetched once, as
`python -m tests.bench.dashboard` prints them; measured on two busy cores, with the demo weights
and results of 1.5 megapixels."""

STUDIO_CPUS = 2
PHOTO_MB = 1.5
RESULT_MB = 2.0
"""Assumed: a phone's JPEG of a product, and the PNG of a result of a megapixel and a half."""

CONTROLS_PER_REQUEST = 12
"""Small requests to the bucket for four images: recipes, references, photo and product."""

SWEPT_PER_IMAGE = 7.6
"""Requests to the bucket until an image that is too old is gone, with all that belongs to it: among
ten million names, as `python -m tests.bench.sweeps` prints them."""

ADMISSION_REQUESTS = 42
"""Requests a second at which one admission replica answers within 50 ms for 99 % of them, as
`python -m tests.bench.admission_load` prints it; measured on two cores, callers included."""

LOADS = (1, 10, 100, 1000)
"""Images a second."""


@dataclass(frozen=True, slots=True)
class Need:
    """What a load needs.

    Attributes:
        images: A second, four of each request.
        gpus: By kind of GPU.
        ingress: Replicas.
        studio: Replicas of two CPUs.
        storage: Replicas.
        network_gbit: Gigabits a second through the edge, in and out.
        bucket_mb: Megabytes a second written, and as many read.
        bucket_operations: Requests a second to the bucket.
    """

    images: int
    gpus: dict[str, int]
    ingress: int
    studio: int
    storage: int
    network_gbit: float
    bucket_mb: float
    bucket_operations: float


def need(images: int, cost: Cost) -> Need:
    """What so many images a second need, all of one model, each fetched once and swept one day."""
    requests = images / IMAGES_PER_REQUEST
    return Need(
        images=images,
        gpus={gpu: _replicas(images / cost.images_per_s(gpu)) for gpu in GPUS},
        ingress=_replicas(requests * INGRESS_S),
        studio=_replicas(requests * STUDIO_S / STUDIO_CPUS),
        storage=_replicas(requests * STORAGE_S),
        network_gbit=(requests * PHOTO_MB + images * RESULT_MB) * 8 / 1000,
        bucket_mb=requests * 2 * PHOTO_MB + images * RESULT_MB,
        bucket_operations=requests * CONTROLS_PER_REQUEST + (2 + SWEPT_PER_IMAGE) * images,
    )


def limits(cost: Cost, gpu: str, config: Path = CONFIG) -> list[tuple[str, str, float]]:
    """What the overlay as it stands cannot pass, in the order in which a growing load reaches it.

    Returns:
        For each its name, its limit in words, and the images a second at which it is reached.
    """
    (application,) = read_config(config)["applications"]
    most = {
        one["name"]: one["autoscaling_config"]["max_replicas"]
        for one in application["deployments"]
        if "autoscaling_config" in one
    }
    seconds = {"ingress": INGRESS_S, "studio": STUDIO_S / STUDIO_CPUS, "storage": STORAGE_S}
    rates = {name: IMAGES_PER_REQUEST / taken for name, taken in seconds.items()}
    rates[cost.model.id] = cost.images_per_s(gpu)
    found = [
        (f"`{name}`", f"{most[name]} replicas", most[name] * BUSY * rate)
        for name, rate in rates.items()
    ]
    admitted = BUSY * ADMISSION_REQUESTS * IMAGES_PER_REQUEST
    found.append(("`admission`", f"{ADMISSION_REQUESTS} requests/s of its one replica", admitted))
    return sorted(found, key=lambda limit: limit[2])


def _replicas(load: float) -> int:
    """Replicas for a load counted in replicas that have nothing else to do."""
    return max(1, math.ceil(load / BUSY))


def tables(models: list[Cost], editing: list[Cost]) -> Iterator[str]:
    """The lines of all tables, in Markdown; editing models have a GPU of their own."""
    yield "| model | parameters | weights, float16 | with its process | Tflop an image |"
    yield "|---|---|---|---|---|"
    for cost in (*models, *editing):
        yield (
            f"| `{cost.model.id}` | {cost.parameters / 1e9:.2f} billion | "
            f"{cost.weights_gb:.1f} GB | {cost.weights_gb + CONTEXT_GB:.1f} GB | "
            f"{cost.operations / 1e12:.0f} |"
        )
    weights = sum(cost.weights_gb for cost in models)
    whole = weights + CONTEXT_GB * len(models)
    yield f"| all of `serve_config.yaml` on one GPU | | {weights:.1f} GB | {whole:.1f} GB | |"
    yield ""
    yield "| images a second of a GPU | " + " | ".join(GPUS) + " |"
    yield "|---|" + "---|" * len(GPUS)
    for cost in (*models, *editing):
        rates = " | ".join(f"{cost.images_per_s(gpu):.2f}" for gpu in GPUS)
        yield f"| `{cost.model.id}` | {rates} |"
    for cost in (models[0], models[-1]):
        yield ""
        yield (
            f"| images/s of `{cost.model.id}` | "
            + " | ".join(GPUS)
            + " | ingress | studio | storage | edge Gbit/s | bucket MB/s | bucket requests/s |"
        )
        yield "|---|" + "---|" * (len(GPUS) + 6)
        for images in LOADS:
            row = need(images, cost)
            gpus = " | ".join(f"{row.gpus[gpu]:,}" for gpu in GPUS)
            yield (
                f"| {images:,} | {gpus} | {row.ingress} | {row.studio:,} | {row.storage} | "
                f"{row.network_gbit:.2f} | {row.bucket_mb:,.0f} | {row.bucket_operations:,.0f} |"
            )
    yield ""
    yield f"| what ends first, of `{models[0].model.id}` on {GPU} | limit | images/s |"
    yield "|---|---|---|"
    for name, limit, images in limits(models[0], GPU):
        yield f"| {name} | {limit} | {images:,.0f} |"


if __name__ == "__main__":
    print("\n".join(tables(costs(), costs(EDITING_CONFIG))))
