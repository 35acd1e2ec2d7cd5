"""Command line: `python -m training STAGE --assets DIR --out DIR`; STAGE `all` runs them in order.

Stages: pictures, encoder, autoencoder, denoiser, controlnet, export, sheet, evaluate. All but the
last two save as they go and go on where they stopped.
"""

import argparse
import json
import os
from pathlib import Path

STAGES = (
    "pictures",
    "encoder",
    "autoencoder",
    "denoiser",
    "controlnet",
    "export",
    "sheet",
    "evaluate",
)
DEMO = Path(__file__).resolve().parent.parent / "deployments" / "diffusion" / "demo"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    parser.add_argument("stage", choices=("all", *STAGES))
    parser.add_argument("--assets", type=Path, help="unpacked npm package @pmndrs/assets 1.7.0")
    parser.add_argument(
        "--photos", type=Path, nargs="*", default=[], help="CC0 photos for the autoencoder"
    )
    parser.add_argument(
        "--out", type=Path, required=True, help="work folder: pictures, checkpoints, sheets"
    )
    parser.add_argument("--demo", type=Path, default=DEMO, help="where `export` writes")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--pictures", type=int, default=20_000)
    parser.add_argument("--autoencoder-steps", type=int, default=6_000)
    parser.add_argument("--denoiser-steps", type=int, default=14_600)
    parser.add_argument("--controlnet-steps", type=int, default=2_000)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    return parser.parse_args()


def main() -> None:
    """Run the stages that were asked for."""
    arguments = _arguments()
    import torch

    from training import autoencoder, controlnet, denoiser, evaluation, export, loop, pictures

    torch.set_num_threads(arguments.threads)
    out: Path = arguments.out
    seed: int = arguments.seed
    stages = STAGES if arguments.stage == "all" else (arguments.stage,)
    if "pictures" in stages:
        if arguments.assets is None:
            raise SystemExit("the stage 'pictures' needs --assets DIR")
        pictures.render(arguments.assets, out / "pictures", seed, arguments.pictures)
    if "encoder" in stages and not (out / "vae").exists():
        autoencoder.prepare(out, arguments.photos, seed)
    if "autoencoder" in stages:
        plan = loop.Plan(arguments.autoencoder_steps, 2e-3, seed)
        autoencoder.train(out, arguments.photos, plan)
    if "denoiser" in stages:
        denoiser.train(out, loop.Plan(arguments.denoiser_steps, 1.5e-3, seed, average=0.998))
    if "controlnet" in stages:
        controlnet.train(out, loop.Plan(arguments.controlnet_steps, 1e-3, seed, warmup=50))
    if "export" in stages:
        print(f"{export.export(out, arguments.demo):,} bytes in {arguments.demo}")
    if "sheet" in stages:
        evaluation.scene_sheet(arguments.demo, out / "sheets" / "scenes.png")
    if "evaluate" in stages:
        if arguments.assets is None:
            raise SystemExit("the stage 'evaluate' needs --assets DIR")
        found = evaluation.measure(arguments.demo, out, arguments.assets, seed)
        (out / "evaluation.json").write_text(json.dumps(found, indent=2) + "\n")
        print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
