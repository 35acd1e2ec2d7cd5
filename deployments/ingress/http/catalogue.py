"""The routes that tell what the service has, and whether it can be used now."""

# No postponed annotations here: FastAPI reads those of the routes below.
from collections.abc import Collection, Mapping
from typing import Any, get_args

from fastapi import FastAPI, Request

from deployments.composition import MEDIA_TYPES, TILE_WIDTHS, FileFormat
from deployments.errors import NotReady
from deployments.ingress.core.service import Service
from deployments.ingress.http import openapi, problems
from deployments.ingress.http.catalogue_schemas import (
    CapabilitiesEntry,
    DefaultsEntry,
    FormatsEntry,
    LimitsEntry,
    ModelEntry,
    ModelLimitsEntry,
    ModelsAnswer,
    PresetEntry,
    ReadyAnswer,
    SizesEntry,
)
from deployments.ingress.http.look_fields import LEAST_SIDE
from deployments.ingress.http.middleware.gate import READY
from deployments.ingress.http.schemas import MOST_GUIDANCE
from deployments.presets import PresetFields
from deployments.settings import IngressSettings, ModelSettings

RETRY_AFTER_S = 2.0
"""Suggested wait before readiness is asked for again."""

MOST_STRENGTH = 1.0


def add_catalogue(
    app: FastAPI,
    service: Service,
    settings: IngressSettings,
    presets: Mapping[str, PresetFields],
    retention_s: float | None,
) -> None:
    """Add the routes.

    Args:
        app: The application.
        service: The use cases.
        settings: Limits.
        presets: Sets of fields that a request may choose by name.
        retention_s: Seconds a result is kept; None keeps it for ever.
    """
    named = [PresetEntry(name=name, fields=dict(fields)) for name, fields in presets.items()]
    limits = _limits(settings, retention_s)
    formats = FormatsEntry(
        uploads=list(MEDIA_TYPES.values()),
        outputs=list(get_args(FileFormat)),
        copy_widths=list(TILE_WIDTHS),
    )

    @app.head("/api/models", include_in_schema=False)
    @app.get("/api/models", **openapi.models_route())
    async def models(request: Request) -> ModelsAnswer:
        """List the models and what each can do, the presets, and the service's limits."""
        running = await service.replicas.running()
        return ModelsAnswer(
            models=[_entry(model, running, service.max_output_side) for model in service.catalog],
            presets=named,
            limits=limits.model_copy(
                update=service.rates_of(request.state.api_key_name).model_dump()
            ),
            formats=formats,
        )

    @app.head(READY, include_in_schema=False)
    @app.get(READY, **openapi.ready_route())
    async def ready(request: Request) -> Any:  # noqa: ANN401 - one of two answers
        """Tell whether the default model, and all that every request needs, has a replica."""
        running = await service.replicas.running()
        needed = [service.catalog[0].id, *service.replicas.frame]
        missing = [name for name in needed if name not in running]
        if not missing:
            return ReadyAnswer(ready=True)
        error = NotReady(f"no replica is up of {', '.join(missing)}", RETRY_AFTER_S)
        told = {"ready": False, "missing": missing}
        return problems.response(error, request.state.request_id, told)


def _entry(model: ModelSettings, running: Collection[str], max_side: int) -> ModelEntry:
    return ModelEntry(
        id=model.id,
        name=model.name,
        family=model.family,
        demo=model.demo,
        available=model.id in running,
        defaults=DefaultsEntry(
            steps=model.steps, guidance_scale=model.guidance_scale, strength=model.strength
        ),
        limits=ModelLimitsEntry(
            steps=model.max_steps,
            guidance_scale=1.0 if model.distilled else MOST_GUIDANCE,
            strength=MOST_STRENGTH,
        ),
        sizes=SizesEntry(working=model.size, min_side=LEAST_SIDE, max_side=max_side),
        capabilities=_capabilities(model),
        loras=list(model.request_loras),
        starter_prompts=list(model.starter_prompts),
    )


def _capabilities(model: ModelSettings) -> CapabilitiesEntry:
    return CapabilitiesEntry(
        edit=model.traits.edits,
        inpaint=True,
        style_image=model.traits.edits,
        control=model.controlnet is not None,
        negative_prompt=not model.distilled,
        loras=bool(model.fused_loras),
        lora=bool(model.request_loras),
    )


def _limits(settings: IngressSettings, retention_s: float | None) -> LimitsEntry:
    return LimitsEntry(
        max_images=settings.max_images,
        max_prompt_chars=settings.max_prompt_chars,
        deadline_s=settings.deadline_s,
        retention_s=retention_s,
        **settings.rates.model_dump(),
        **settings.limits.model_dump(),
    )
