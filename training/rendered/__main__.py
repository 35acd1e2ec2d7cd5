"""Command line: `python -m training.rendered STAGE --out DIR`; STAGE `all` runs the first three.

Stages: `draws` gives rendered pictures their colours, `components` computes the autoencoder, or
takes the kept one with --kept, `autoencoder` trains its decoder, `measure` says what it reaches and
`keep` writes it to training/start/vae. The first three go on where they stopped.
"""

import argparse
import json
from pathlib import Path

STAGES = ("draws", "components", "autoencoder", "measure", "keep")
_HELD = 60


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m training.rendered", description=__doc__)
    parser.add_argument("stage", choices=("all", *STAGES))
    parser.add_argument("--out", type=Path, required=True, help="work folder")
    parser.add_argument("--rendered", type=Path, help="what training.rendering wrote")
    parser.add_argument("--assets", type=Path, help="npm's @pmndrs/assets 1.7.0, unpacked")
    parser.add_argument("--photos", type=Path, nargs="*", default=[], help="CC0 photographs")
    parser.add_argument("--held-photos", type=Path, nargs="*", default=[], help="to measure with")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--draws", type=int, default=4_000)
    parser.add_argument("--steps", type=int, default=20_000)
    parser.add_argument("--batch", type=int, default=4, help="crops of a step")
    parser.add_argument("--kept", action="store_true", help="start from the kept autoencoder")
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def main() -> None:
    """Run the stages that were asked for."""
    a = _arguments()
    import torch

    from training import loop
    from training.rendered import autoencoder, crops, draws, measure, start

    torch.set_num_threads(a.threads)
    stages = STAGES[:3] if a.stage == "all" else (a.stage,)
    drawn, vae = a.out / "draws", a.out / "vae"
    if "draws" in stages:
        if a.rendered is None:
            raise SystemExit("the stage 'draws' needs --rendered DIR")
        draws.write(a.rendered, drawn, a.seed, _HELD, held_out=True)
        draws.write(a.rendered, drawn, a.seed, a.draws)
    if "components" in stages or "autoencoder" in stages:
        hdri = a.assets / "hdri" if a.assets else None
        found = crops.Crops(drawn, hdri, a.photos)
        if "components" in stages and not vae.exists():
            if a.kept:
                start.fetch(a.out)
            else:
                autoencoder.prepare(a.out, found, a.seed)
        if "autoencoder" in stages:
            plan = loop.Plan(a.steps, 1e-3, a.seed, warmup=100)
            autoencoder.train(a.out, found, plan, a.batch)
    if "measure" in stages:
        print(json.dumps(measure.measure(vae, drawn, a.held_photos), indent=2))
    if "keep" in stages:
        print(f"{start.keep(vae):,} bytes in {start.FOLDER}")


if __name__ == "__main__":
    main()
