"""Where weights lie: the bundled demo, a local folder, or a pinned repository of the Hub.

Finds or downloads files and names their origin; does not know what is in them. The Hub is reached
with huggingface_hub, which reads HF_TOKEN, HF_HUB_OFFLINE, HF_HOME and HF_ENDPOINT itself.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from deployments.settings import ModelSettings

DEMO_WEIGHTS = Path(__file__).parents[1] / "demo" / "weights"
DEMO_CONTROLNET = Path(__file__).parents[1] / "demo" / "controlnet"

_ENDINGS = (".safetensors", "-*-of-*.safetensors", ".safetensors.index.json")
_FP16_ENDINGS = (".fp16.safetensors", ".fp16-*-of-*.safetensors", ".safetensors.index.fp16.json")
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


class WeightsError(Exception):
    """A model cannot load; the message is one sentence for the operator.

    Args:
        message: What is wrong, naming the weights as the configuration does.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Source:
    """Weights that are on this machine.

    Attributes:
        folder: The diffusers folder.
        name: What the configuration calls it, for messages.
        origin: What recipes record: no path of this machine beyond the folder's own name.
    """

    folder: Path
    name: str
    origin: str


def check_name(name: str, revision: str | None, demo: Path | None) -> Path | None:
    """Tell what a setting names, without looking into it and without the Hub.

    Args:
        name: As in `find_source`.
        revision: As there.
        demo: As there.

    Returns:
        The folder on this machine; None where it is a repository of the Hub.

    Raises:
        WeightsError: There is no such folder, the name is neither, or the revision is missing.
    """
    if name == "demo" and demo is not None:
        if not demo.is_dir():
            raise WeightsError(
                f"The bundled demo weights ({demo.name}) are missing from this installation."
            )
        return demo
    folder = Path(name).expanduser()
    if folder.is_dir():
        return folder
    if name.startswith((".", "/", "~")):
        raise WeightsError(f"The weights folder {name} does not exist.")
    if not _HUB_ID.fullmatch(name):
        no_demo = "" if demo is None else "'demo', nor "
        raise WeightsError(
            f"The weights {name!r} are neither {no_demo}a folder that exists, "
            "nor a Hub id like owner/name."
        )
    if revision is None:
        raise WeightsError(
            f"The Hub weights {name} need a revision in the configuration, best a commit."
        )
    return None


def hub_names(settings: ModelSettings) -> list[str]:
    """Check every name of weights in a model's settings, as `check_name` does.

    Returns:
        The repositories of the Hub among them.

    Raises:
        WeightsError: As `check_name`, for the first that is wrong.
    """
    named: list[tuple[str | None, str | None, Path | None]] = [
        (settings.weights, settings.revision, DEMO_WEIGHTS),
        (settings.vae, settings.vae_revision, DEMO_WEIGHTS / "vae"),
        (settings.controlnet, settings.controlnet_revision, DEMO_CONTROLNET),
        *((lora.weights, lora.revision, None) for lora in settings.loras),
    ]
    return [
        name
        for name, revision, demo in named
        if name is not None and check_name(name, revision, demo) is None
    ]


def find_source(
    name: str,
    revision: str | None,
    demo: Path | None,
    settings_files: Sequence[str],
    weight_stems: Sequence[str],
    prefer_fp16: bool,
) -> Source:
    """Find the folder that a setting names, downloading it when it is a Hub id.

    Args:
        name: `demo`, a local folder (it exists, or it starts with `.`, `/` or `~`), or a Hub id
            such as `owner/name`.
        revision: Commit, tag or branch; required for a Hub id, meaningless otherwise.
        demo: The folder that `demo` stands for; None when there is no demo of this kind.
        settings_files: Glob patterns of the files to take from the Hub under all circumstances.
        weight_stems: Paths of the safetensors files to take, without their endings.
        prefer_fp16: Take the repository's fp16 variant of these where it has one.

    Raises:
        WeightsError: There is no such folder, the name is neither, the revision is missing, or
            the Hub does not give the files.
    """
    local = check_name(name, revision, demo)
    if local is not None:
        bundled = name == "demo" and demo is not None
        return Source(
            local, name, f"demo@{_fingerprint(local)}" if bundled else local.resolve().name
        )
    missing = list(weight_stems)
    if prefer_fp16 and missing:
        variants = [f"{stem}{ending}" for stem in weight_stems for ending in _FP16_ENDINGS]
        folder = _download(name, revision, [*settings_files, *variants])
        missing = [
            stem for stem in weight_stems if not any(folder.glob(f"{stem}.fp16*.safetensors"))
        ]
    if missing or not weight_stems:
        plain = [f"{stem}{ending}" for stem in missing for ending in _ENDINGS]
        folder = _download(name, revision, [*settings_files, *plain])
    # The client lays a snapshot out in a folder named like the commit the revision stood for.
    return Source(folder, name, f"{name}@{folder.name}")


def _download(name: str, revision: str | None, patterns: Sequence[str]) -> Path:
    # Imported here because local weights must not depend on the Hub's client.
    from huggingface_hub import errors, snapshot_download

    wanted = f"{name} at revision {revision}"
    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=list(patterns)))
    except errors.GatedRepoError:
        problem = (
            f"The Hub weights {name} are gated: set HF_TOKEN to a token that was granted access."
        )
    except errors.RepositoryNotFoundError:
        problem = (
            f"The Hub has no weights {name}, or they are private and HF_TOKEN does not open them."
        )
    except errors.RevisionNotFoundError:
        problem = f"The Hub weights {name} have no revision {revision}."
    except errors.LocalEntryNotFoundError:
        problem = (
            f"The Hub weights {wanted} are not in the local cache, and the Hub cannot be reached."
        )
    except errors.HfHubHTTPError as error:
        status = error.response.status_code
        problem = f"The Hub weights {wanted} cannot be downloaded: the Hub answers {status}."
    except OSError as error:
        reason = error.strerror or type(error).__name__
        problem = f"The Hub weights {wanted} cannot be downloaded: {reason}."
    raise WeightsError(problem)


def _fingerprint(folder: Path) -> str:
    """Twelve hexadecimal digits that change with the network's weights."""
    digest = hashlib.sha256()
    for file in sorted([*folder.glob("unet/*.safetensors"), *folder.glob("*.safetensors")]):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]
