"""The application's typed arguments: `args` in the Serve configuration.

Every key is checked, and unknown keys are refused. Secrets are no settings: they come from the
environment, and are read where they are used.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from deployments.background_settings import BackgroundSettings
from deployments.finder_settings import FinderSettings
from deployments.model_settings import MOST_ROWS as MOST_ROWS
from deployments.model_settings import RESERVED_NAMES as RESERVED_NAMES
from deployments.model_settings import LoraSettings as LoraSettings
from deployments.model_settings import ModelSettings as ModelSettings
from deployments.page_origins import PageOrigin
from deployments.presets import DEFAULT_PRESETS, PresetFields, PresetName
from deployments.rate_settings import RateSettings as RateSettings
from deployments.strict_settings import Settings as Settings
from deployments.webhook_settings import WebhookSettings
from storage.settings import FilesystemSettings, StoreSettings


class UploadLimits(Settings):
    """What an upload may be.

    Attributes:
        max_body_bytes: Bytes of a request body. A file in it of more than 1 MiB is kept on disk.
        max_json_bytes: Bytes of a JSON body, which is parsed in memory.
        max_pixels: Width times height of a photo. Above the highest value Pillow opens no WebP.
        max_side: The longer side of a photo, in pixels.
        max_aspect: Longer side over shorter side.
        min_bytes_per_s: How fast a request body must arrive, on average.
        body_grace_s: Seconds that it may take beyond that.
        max_arriving: Request bodies of one API key, or of one address without keys, that may arrive
            at the same time in one ingress replica.
    """

    max_body_bytes: int = Field(32 * 1024 * 1024, ge=1024)
    max_json_bytes: int = Field(1024 * 1024, ge=1024, le=64 * 1024 * 1024)
    max_pixels: int = Field(67_108_864, ge=1, le=178_956_970)
    max_side: int = Field(16_384, ge=1)
    max_aspect: float = Field(8.0, ge=1)
    min_bytes_per_s: int = Field(4096, ge=1, le=1_000_000_000)
    body_grace_s: float = Field(15.0, gt=0, le=3600)
    max_arriving: int = Field(100, ge=1, le=10_000)


class UsageSettings(Settings):
    """What is told of how much each API key uses.

    Attributes:
        metric_keys: API keys that the metrics tell apart, at most, by their names; 0 has no such
            metrics.
        daily: Write it down in the store, by day.
        write_interval_s: Seconds between two writings, of which a replica that is killed loses as
            many.
    """

    metric_keys: int = Field(0, ge=0, le=1000)
    daily: bool = False
    write_interval_s: float = Field(60.0, ge=1, le=3600)


BaseUrl = Annotated[str, StringConstraints(pattern=r"^https?://[^\s?#]*[^/\s?#]$")]
"""What result URLs start with: scheme, host, port and path, without a slash at the end."""


class CorsSettings(Settings):
    """Which browser pages may call the API.

    Attributes:
        origins: Exact origins such as `https://shop.example`, or `*` for all.
        localhost: Also allow pages served from localhost, on any port.
        private_network: Let public pages that may call reach the service in a private network.
    """

    origins: tuple[PageOrigin, ...] = ()
    localhost: bool = True
    private_network: bool = False


class IngressSettings(Settings):
    """The HTTP surface.

    Attributes:
        public_base_url: The start of result URLs, a CDN for example; None takes it from each
            request.
        earlier_base_urls: What result URLs started with before, which `image_url` may still start
            with: the public_base_url of last year, or the address before there was a CDN.
        max_images: The most images that one request may ask for.
        max_prompt_chars: The longest prompt and negative prompt.
        max_waiting_images: Images in flight per model, of all ingress replicas; more get 429.
        max_wait_s: While others are in flight, a request that would take more seconds than this at
            the measured speed gets 429.
        deadline_s: Seconds after which a request ends with 504.
        outage_s: Seconds for which a request waits for a part that is down: a store that cannot
            serve, or a deployment whose last replica is gone.
        require_key: Do not start without API keys.
        allow_anonymous: Serve without API keys on an address that other machines can reach.
        public_results: Everybody who has a result's URL may read it. With API keys, false asks for
            one there too.
        rates: How much one API key may ask for.
        usage: What is told of how much each key uses.
        playground: Serve the chat page at `/`.
        cors: Browser pages that may call.
        limits: What an upload may be.
        background: Requests that are answered later.
        webhooks: Who may be told of these.
    """

    public_base_url: BaseUrl | None = None
    earlier_base_urls: tuple[BaseUrl, ...] = Field((), max_length=16)
    max_images: int = Field(8, ge=1, le=64)
    max_prompt_chars: int = Field(2000, ge=1, le=20_000)
    max_waiting_images: int = Field(64, ge=1, le=10_000)
    max_wait_s: float = Field(60.0, gt=0, le=86_400)
    deadline_s: float = Field(300.0, gt=0, le=86_400)
    outage_s: float = Field(20.0, ge=0, le=3600)
    require_key: bool = False
    allow_anonymous: bool = False
    public_results: bool = True
    rates: RateSettings = RateSettings()
    usage: UsageSettings = UsageSettings()
    playground: bool = True
    cors: CorsSettings = CorsSettings()
    limits: UploadLimits = UploadLimits()
    background: BackgroundSettings = BackgroundSettings()
    webhooks: WebhookSettings = WebhookSettings()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.max_waiting_images < self.max_images:
            raise ValueError(
                f"max_waiting_images {self.max_waiting_images} is under max_images "
                f"{self.max_images}: there would never be room for the largest requests"
            )
        try:
            self.rates.check(self.max_images)
        except ValueError as error:
            raise ValueError(f"rates.{error}") from None
        if self.require_key and self.allow_anonymous:
            raise ValueError("require_key and allow_anonymous contradict each other")
        return self


class StorageSettings(Settings):
    """Where results go and how long they stay.

    Attributes:
        store: The filesystem, or an S3 endpoint such as MinIO.
        retention_s: Seconds a result is kept; None keeps it for ever.
        request_retention_s: Seconds a background request is kept after its end; None keeps it for
            ever.
        usage_retention_s: Seconds that what API keys used in a day is kept after it; None keeps it
            for ever.
        sweep_interval_s: Seconds between two removals of results that are too old, and of what
            unfinished work left behind.
    """

    store: StoreSettings = FilesystemSettings(kind="filesystem")
    retention_s: float | None = Field(None, gt=0)
    request_retention_s: float | None = Field(604_800.0, gt=0)
    usage_retention_s: float | None = Field(34_560_000.0, gt=0)
    sweep_interval_s: float = Field(600.0, gt=0)


class StudioSettings(Settings):
    """How products are found, kept and composed.

    Attributes:
        max_output_side: The longer side of a composed result, in pixels; larger photos are made
            smaller.
        contact_shadow: How dark a `contact` shadow is where a request says nothing of it, 0 to 1;
            0 draws none.
        shape_floor: A result with a product that was found, whose `shape` fidelity is below this
            and whose seed nobody asked for, is made once more, and the better one is kept; 0 to 1,
            and 0 makes none again.
        public_metadata: The files of results name the model, and PNGs hold the prompt, the seed
            and what else makes the result again; else they have the marking alone.
        finder: What marks the product, where no mask and no transparency does.
    """

    max_output_side: int = Field(1536, ge=64, le=8192)
    contact_shadow: float = Field(0.75, ge=0, le=1)
    shape_floor: float = Field(0.0, ge=0, le=1)
    public_metadata: bool = True
    finder: FinderSettings = FinderSettings()


DEFAULT_MODELS = (
    ModelSettings(id="stable-diffusion", name="Stable Diffusion"),
    ModelSettings(id="controlnet", name="ControlNet", controlnet="demo"),
)


class AppArgs(Settings):
    """`args` of the application.

    Attributes:
        models: The catalog, in the order `/api/models` lists it.
        ingress: The HTTP surface.
        studio: How products are found, kept and composed.
        storage: Where results go.
        presets: Named sets of fields that requests may choose.
    """

    models: Annotated[tuple[ModelSettings, ...], Field(min_length=1)] = DEFAULT_MODELS
    ingress: IngressSettings = IngressSettings()
    studio: StudioSettings = StudioSettings()
    storage: StorageSettings = StorageSettings()
    presets: Mapping[PresetName, PresetFields] = Field(
        default_factory=lambda: dict(DEFAULT_PRESETS)
    )

    @property
    def frame(self) -> frozenset[str]:
        """Names of the deployments that are there beside the models'."""
        return RESERVED_NAMES if self.studio.finder.own_deployment else RESERVED_NAMES - {"finder"}

    @model_validator(mode="after")
    def _unique_ids(self) -> Self:
        ids = [model.id for model in self.models]
        twice = sorted({name for name in ids if ids.count(name) > 1})
        if twice:
            raise ValueError(f"model ids must be unique; given twice: {', '.join(twice)}")
        return self
