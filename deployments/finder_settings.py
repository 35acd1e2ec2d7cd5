"""The finder of one's choice: `args.studio.finder` in the Serve configuration.

What the known networks want to see, and how they answer, is here too, as their makers have it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

Side = Annotated[int, Field(ge=32, le=4096)]
Channels = tuple[float, float, float]
Deviation = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Mean = Annotated[float, Field(allow_inf_nan=False)]


@dataclass(frozen=True, slots=True)
class Preparation:
    """What a network wants to see, and how it answers.

    Attributes:
        size: Width and height of its input, in pixels. The whole picture is squeezed into it.
        scale: What the levels, 0 to 255, are divided by first: a number, or `peak`, the picture's
            own brightest level.
        mean: What is subtracted then, of red, green and blue.
        deviation: What is divided by last.
        output: The answer that counts, by its name or its place.
        values: What that is: `probabilities`, 0 to 1, or `logits`, before the sigmoid.
    """

    size: tuple[int, int]
    scale: float | Literal["peak"]
    mean: Channels
    deviation: Channels
    output: int | str
    values: Literal["probabilities", "logits"]


IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_DEVIATION = (0.229, 0.224, 0.225)

_U2NET = Preparation((320, 320), "peak", IMAGENET_MEAN, IMAGENET_DEVIATION, 0, "probabilities")
_BIREFNET = Preparation((1024, 1024), 255.0, IMAGENET_MEAN, IMAGENET_DEVIATION, 0, "logits")

KNOWN: Mapping[str, Preparation] = MappingProxyType({
    # Qin et al., "U2-Net: Going Deeper with Nested U-Structure for Salient Object Detection", 2020.
    "u2netp": _U2NET,
    "u2net": _U2NET,
    # Qin et al., "Highly Accurate Dichotomous Image Segmentation", 2022; the general-use weights.
    "isnet": Preparation(
        (1024, 1024), 255.0, (0.5, 0.5, 0.5), (1.0, 1.0, 1.0), 0, "probabilities"
    ),
    # Zheng et al., "Bilateral Reference for High-Resolution Dichotomous Image Segmentation", 2024.
    "birefnet": _BIREFNET,
    "birefnet-lite": _BIREFNET,
    # Meyer and Spruyt, "BEN: Using Confidence-Guided Matting for Dichotomous Image Segmentation",
    # 2025; as its authors' PyTorch code prepares pictures.
    "ben2": Preparation(
        (1024, 1024), 255.0, IMAGENET_MEAN, IMAGENET_DEVIATION, 0, "probabilities"
    ),
})  # fmt: skip
"""By the names that the setting `network` takes."""

_DECLARED = ("size", "scale", "mean", "deviation", "output", "values")
_NEEDED = ("size", "scale", "mean", "deviation", "values")


class FinderSettings(BaseModel):
    """What marks the product of a photo, where no mask and no transparency does.

    Attributes:
        network: A network whose preparation is known, or `custom`, whose preparation is declared.
        weights: `bundled` for the U2-Net-p in this package, an ONNX file, a folder with one, or a
            Hub id.
        revision: Commit, tag or branch of a Hub id. A Hub id needs one, so that the weights cannot
            change.
        file: The ONNX file in a folder or a repository.
        sha256: SHA-256 of that file, 64 hexadecimal digits; another file is refused.
        size: Pixels of the input's side, or its width and height; None as the network is known.
        scale: What levels are divided by, or `peak`; None as above.
        mean: What is subtracted then, of red, green and blue; None as above.
        deviation: What is divided by last; None as above.
        output: Name or place of the answer that counts; None as above, and 0 for `custom`.
        values: What the answer is; None as above.
        matte: Its answer is the product's alpha, and is kept as it is. Else only its outline
            counts, which is fitted to the photo's edges.
        device: Where the network runs. `cuda` takes ONNX Runtime's build for CUDA.
        runtime: What runs it. `auto` takes OpenVINO on a CPU where it is installed, and ONNX
            Runtime elsewhere.
        threads: Threads that one search computes with on a CPU.
        separate: Run it in a deployment of its own, `finder`, with resources of its own; None does
            so on CUDA only. Without it every replica of the studio holds the network.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())

    network: Literal["u2netp", "u2net", "isnet", "birefnet", "birefnet-lite", "ben2", "custom"] = (
        "u2netp"
    )
    weights: Annotated[str, StringConstraints(min_length=1)] = "bundled"
    revision: str | None = None
    file: Annotated[str, StringConstraints(pattern=r"^[^/].*\.onnx$")] = "onnx/model.onnx"
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")] | None = None
    size: Side | tuple[Side, Side] | None = None
    scale: Annotated[float, Field(gt=0, allow_inf_nan=False)] | Literal["peak"] | None = None
    mean: tuple[Mean, Mean, Mean] | None = None
    deviation: tuple[Deviation, Deviation, Deviation] | None = None
    output: Annotated[int, Field(ge=0)] | Annotated[str, StringConstraints(min_length=1)] | None = (
        None
    )
    values: Literal["probabilities", "logits"] | None = None
    matte: bool = False
    device: Literal["cpu", "cuda"] = "cpu"
    runtime: Literal["auto", "onnxruntime", "openvino"] = "auto"
    threads: int = Field(2, ge=1, le=256)
    separate: bool | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.bundled:
            if self.network != "u2netp":
                raise ValueError(
                    f"network {self.network} is not bundled: weights must name its file or its "
                    "Hub id"
                )
            given = [
                name
                for name in ("revision", "file", "sha256", *_DECLARED, "matte")
                if getattr(self, name) != type(self).model_fields[name].default
            ]
            if given:
                raise ValueError(f"the bundled weights take no {', '.join(given)}")
        if self.network == "custom":
            missing = [name for name in _NEEDED if getattr(self, name) is None]
            if missing:
                raise ValueError(f"network custom needs {', '.join(missing)}")
        if self.device == "cuda" and self.runtime == "openvino":
            raise ValueError("runtime openvino runs on a CPU, and device is cuda")
        return self

    @property
    def bundled(self) -> bool:
        """Whether the weights are those in this package."""
        return self.weights == "bundled"

    @property
    def own_deployment(self) -> bool:
        """Whether it runs in a deployment of its own."""
        return self.device == "cuda" if self.separate is None else self.separate

    @property
    def preparation(self) -> Preparation:
        """What the network wants to see: what is declared, else what is known of it."""
        given = {name: getattr(self, name) for name in _DECLARED}
        declared: dict[str, Any] = {
            name: value for name, value in given.items() if value is not None
        }
        if isinstance(self.size, int):
            declared["size"] = (self.size, self.size)
        # A custom one declares all but its output, and the first one counts as it does here.
        return replace(KNOWN.get(self.network, _U2NET), **declared)
