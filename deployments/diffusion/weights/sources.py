"""Where weights lie: the bundled demo, a local folder, or a pinned repository of the Hub.

Files are found or downloaded here, and their origin is named; what is in them is read elsewhere.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from deployments import hub
from deployments.missing import MissingHere
from deployments.settings import ModelSettings

DEMO_WEIGHTS = Path(__file__).parents[1] / "demo" / "weights"
DEMO_CONTROLNET = Path(__file__).parents[1] / "demo" / "controlnet"

_ENDINGS = (".safetensors", "-*-of-*.safetensors", ".safetensors.index.json")
_FP16_ENDINGS = (".fp16.safetensors", ".fp16-*-of-*.safetensors", ".safetensors.index.fp16.json")


class WeightsError(Exception):
    """A model cannot load.

    Args:
        message: One clause for the operator. It begins with the setting's name, and names the
            weights as the configuration does.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)


class WeightsMissing(WeightsError, MissingHere):
    """A folder of weights is not on this machine."""


@dataclass(frozen=True, slots=True)
class Source:
    """Weights that are on this machine.

    Attributes:
        folder: The diffusers folder.
        field: The setting that names it: `weights`, `vae`, `controlnet` or `loras`.
        name: What the configuration calls it, for messages.
        origin: What recipes record. Of a path on this machine it holds the last folder's name only.
    """

    folder: Path
    field: str
    name: str
    origin: str


def check_name(field: str, name: str, revision: str | None, demo: Path | None) -> Path | None:
    """Tell what a setting names, without looking into it and without the Hub.

    Args:
        field: As in `find_source`.
        name: As in `find_source`.
        revision: As there.
        demo: As there.

    Returns:
        The folder on this machine; None where it is a repository of the Hub.

    Raises:
        WeightsMissing: There is no such folder.
        WeightsError: The name has no valid form, or no revision is given.
    """
    if name == "demo" and demo is not None:
        if not demo.is_dir():
            raise WeightsMissing(
                f"{field}: the bundled demo ({demo.name}) is missing from this installation"
            )
        return demo
    folder = Path(name).expanduser()
    if folder.is_dir():
        return folder
    if name.startswith((".", "/", "~")):
        raise WeightsMissing(f"{field}: the folder {name} does not exist")
    if not hub.is_hub_id(name):
        no_demo = "" if demo is None else "'demo', nor "
        raise WeightsError(
            f"{field}: {name!r} is neither {no_demo}a folder that exists, "
            "nor a Hub id like owner/name"
        )
    try:
        hub.check_revision(name, revision)
    except hub.HubError as error:
        raise WeightsError(f"{field}: {error}") from None
    return None


def hub_names(settings: ModelSettings) -> list[str]:
    """Check every name of weights in a model's settings, as `check_name` does.

    Returns:
        The repositories of the Hub among them.

    Raises:
        WeightsError: As `check_name`, for the first that is wrong.
    """
    named: list[tuple[str, str | None, str | None, Path | None]] = [
        ("weights", settings.weights, settings.revision, DEMO_WEIGHTS),
        ("vae", settings.vae, settings.vae_revision, DEMO_WEIGHTS / "vae"),
        ("controlnet", settings.controlnet, settings.controlnet_revision, DEMO_CONTROLNET),
        *(("loras", lora.weights, lora.revision, None) for lora in settings.loras),
    ]
    return [
        name
        for field, name, revision, demo in named
        if name is not None and check_name(field, name, revision, demo) is None
    ]


def find_source(
    field: str,
    name: str,
    revision: str | None,
    demo: Path | None,
    settings_files: Sequence[str],
    weight_stems: Sequence[str],
    prefer_fp16: bool,
) -> Source:
    """Find the folder that a setting names; it is downloaded when the name is a Hub id.

    Args:
        field: The setting's name, for messages.
        name: `demo`, a local folder (it exists, or it starts with `.`, `/` or `~`), or a Hub id
            such as `owner/name`.
        revision: Commit, tag or branch; required for a Hub id, not used otherwise.
        demo: The folder that `demo` stands for; None when there is no demo of this kind.
        settings_files: Glob patterns of the files to take from the Hub in any case.
        weight_stems: Paths of the safetensors files to take, without their endings.
        prefer_fp16: Take the repository's fp16 variant of these where it has one.

    Raises:
        WeightsError: There is no such folder, the name is none of these, the revision is missing,
            or the Hub does not give the files.
    """
    local = check_name(field, name, revision, demo)
    if local is not None:
        bundled = name == "demo" and demo is not None
        origin = f"demo@{_fingerprint(local)}" if bundled else local.resolve().name
        return Source(local, field, name, origin)
    missing = list(weight_stems)
    if prefer_fp16 and missing:
        variants = [f"{stem}{ending}" for stem in weight_stems for ending in _FP16_ENDINGS]
        folder = _download(field, name, revision, [*settings_files, *variants])
        missing = [
            stem for stem in weight_stems if not any(folder.glob(f"{stem}.fp16*.safetensors"))
        ]
    if missing or not weight_stems:
        plain = [f"{stem}{ending}" for stem in missing for ending in _ENDINGS]
        folder = _download(field, name, revision, [*settings_files, *plain])
    # The client names a snapshot's folder after the commit that the revision stands for.
    return Source(folder, field, name, f"{name}@{folder.name}")


def _download(field: str, name: str, revision: str | None, patterns: Sequence[str]) -> Path:
    try:
        return hub.download(name, revision, patterns)
    except hub.HubError as error:
        raise WeightsError(f"{field}: {error}") from None


def _fingerprint(folder: Path) -> str:
    """Twelve hexadecimal digits that change with the network's weights."""
    digest = hashlib.sha256()
    for file in sorted([*folder.glob("unet/*.safetensors"), *folder.glob("*.safetensors")]):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]
