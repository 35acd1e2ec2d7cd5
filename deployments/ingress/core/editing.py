"""What a request must know of models that edit a photo as a whole where no product is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from deployments.ingress.core.job_source import Origin
from deployments.ingress.core.orders import PlainJob, Plan, check_edit
from deployments.jobs import ImageJob

EDITED = (
    "the model edited the whole photo, and no pixel of it is kept for certain; "
    "preserve_product=true keeps those of the product"
)


async def as_opened(plan: Plan, origin: Origin) -> tuple[Sequence[ImageJob | PlainJob], Origin]:
    """Turn the jobs of a plan into edits where that is what they are.

    Args:
        plan: The plan.
        origin: What its images are made from.

    Returns:
        The jobs, and the origin with a warning. An edit starts from noise, whatever the model's own
        strength is.

    Raises:
        InvalidRequest: The order asks for what an edit cannot honour.
    """
    model = plan.model
    if model is None or not model.traits.edits or (await origin.opened).product is not None:
        return plan.jobs, origin
    check_edit(plan.order, model)
    jobs = [
        replace(job, settings=replace(job.settings, strength=1.0))
        for job in plan.jobs
        if isinstance(job, ImageJob)
    ]
    return jobs, replace(origin, warnings=(*origin.warnings, EDITED))
