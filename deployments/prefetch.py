"""Downloads the weights that a Serve configuration names: `python -m deployments.prefetch FILE`.

Run it once where the Hub can be reached, with HF_HOME on a volume that the replicas share. With
HF_HUB_OFFLINE=1 they then find everything there. A marker file says when all weights are complete.
`--wait` waits for that marker: a replica's machine does so before Ray starts on it. No weights are
loaded.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import sys
import time
from pathlib import Path

from deployments.config import ConfigError, our_applications, read_config
from deployments.diffusion.weights.precision import takes_float16
from deployments.diffusion.weights.sources import WeightsError
from deployments.finder_settings import FinderSettings
from deployments.settings import ModelSettings
from deployments.studio.finder_weights import FinderError, find_file, read_file

_LOOK_INTERVAL_S = 2.0
_WORD_INTERVAL_S = 30.0

logger = logging.getLogger(__name__)


def main() -> None:
    """Entry point: download, or wait until another process has downloaded."""
    parser = argparse.ArgumentParser(prog="python -m deployments.prefetch", description=__doc__)
    parser.add_argument("config", type=Path, help="the Serve configuration")
    parser.add_argument(
        "--device",
        choices=("cuda", "cpu"),
        default="cuda",
        help="what `device: auto` is where the replicas run (default: %(default)s)",
    )
    parser.add_argument("--wait", type=float, metavar="SECONDS", help="do not download, but wait")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        applications = [args for _, _, args in our_applications(read_config(options.config))]
        models = [model for args in applications for model in args.models]
        finders = [args.studio.finder for args in applications if not args.studio.finder.bundled]
        if options.wait is None:
            _download(models, finders, options.device)
        else:
            _wait(models, finders, options.device, options.wait)
    except (ConfigError, WeightsError, FinderError) as error:
        sys.exit(f"deployments.prefetch: {error}")


def _download(models: list[ModelSettings], finders: list[FinderSettings], device: str) -> None:
    # Imported here, because waiting must not need the memory that torch does.
    from deployments.diffusion.families.registry import family_of
    from deployments.diffusion.weights.loading import find_sources
    from deployments.diffusion.weights.loras import find_lora

    for model in models:
        found = find_sources(model, family_of(model).blueprint, _takes_float16(model, device))
        loras = (find_lora(lora) for lora in model.loras)
        for source in (found.weights, found.vae, found.controlnet, *loras):
            if source is not None:
                logger.info("model %s: %s is here", model.id, source.origin)
    for finder in finders:
        file = find_file(finder)
        if finder.sha256 is not None:
            read_file(file, finder.sha256)
        logger.info("finder: %s of %s is here", finder.file, finder.weights)
    marker = _marker(models, finders, device)
    marker.parent.mkdir(parents=True, exist_ok=True)
    marker.touch()


def _wait(
    models: list[ModelSettings], finders: list[FinderSettings], device: str, seconds: float
) -> None:
    marker = _marker(models, finders, device)
    names = [model.id for model in models] + ["the finder"] * bool(finders)
    started = time.monotonic()
    next_word = started
    while not marker.exists():
        now = time.monotonic()
        missing = (
            f"weights: those of {', '.join(names)} are not complete in "
            f"{marker.parent.parent}: no prefetch of this configuration has finished there"
        )
        if now - started >= seconds:
            raise WeightsError(missing)
        if now >= next_word:
            logger.info("%s; waiting", missing)
            next_word = now + _WORD_INTERVAL_S
        time.sleep(_LOOK_INTERVAL_S)


def _takes_float16(model: ModelSettings, device: str) -> bool:
    """Tell whether the replicas take float16 files, where `device: auto` is `device`."""
    return takes_float16(model, device if model.device == "auto" else model.device)


def _marker(models: list[ModelSettings], finders: list[FinderSettings], device: str) -> Path:
    """The marker file; its name depends on every setting that decides what is downloaded."""
    from huggingface_hub.constants import HF_HOME

    names = (
        "weights",
        "revision",
        "vae",
        "vae_revision",
        "controlnet",
        "controlnet_revision",
        "loras",
        "family",
    )
    wanted: list[object] = [
        [_takes_float16(model, device), model.model_dump(mode="json", include=set(names))]
        for model in models
    ]
    wanted += [
        finder.model_dump(mode="json", include={"weights", "revision", "file", "sha256"})
        for finder in finders
    ]
    digest = hashlib.sha256(json.dumps(wanted, sort_keys=True).encode()).hexdigest()
    return Path(HF_HOME) / "prefetched" / digest[:32]


if __name__ == "__main__":
    main()
