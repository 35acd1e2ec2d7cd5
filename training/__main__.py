"""Command line: `python -m training STAGE --out DIR`; STAGE `all` runs the first six.

Stages: `render` renders scenes, `draws` gives them their colours, `start` takes the kept weights to
train on (--from autoencoder: that alone; --from nothing: none), `denoiser` and `controlnet`
train, `export` writes a demo folder. `sheet` and `reach` show and measure what it makes.
`autoencoder` trains the decoder, which changes no latents, so that it may be done at any time, and
`fidelity` says what it keeps. Those that render, draw and train go on where they stopped.
"""

import argparse
import json
from pathlib import Path

STAGES = ("render", "draws", "start", "denoiser", "controlnet", "export")
OTHERS = ("sheet", "reach", "autoencoder", "fidelity")
_STARTS = ("kept", "autoencoder", "nothing")
_HELD = 400


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    parser.add_argument("stage", choices=("all", *STAGES, *OTHERS))
    parser.add_argument("--out", type=Path, required=True, help="work folder")
    parser.add_argument("--assets", type=Path, help="npm's @pmndrs/assets 1.7.0, unpacked")
    parser.add_argument("--photos", type=Path, nargs="*", default=[], help="CC0 photographs")
    parser.add_argument("--held-photos", type=Path, nargs="*", default=[], help="to measure with")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--scenes", type=int, default=1_008)
    parser.add_argument("--views", type=int, default=1, help="pictures of each scene")
    parser.add_argument("--effort", type=float, default=0.3, help="times the scenes' own samples")
    parser.add_argument("--draws", type=int, default=8_000)
    parser.add_argument(
        "--from", choices=_STARTS, default="kept", dest="start", help="what to train on"
    )
    parser.add_argument("--autoencoder-steps", type=int, default=20_000)
    parser.add_argument("--denoiser-steps", type=int, default=7_000)
    parser.add_argument("--controlnet-steps", type=int, default=1_200)
    parser.add_argument("--batch", type=int, default=4, help="crops of a step of the autoencoder")
    parser.add_argument("--demo", type=Path, help="demo folder (the work folder's own)")
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def _render(a: argparse.Namespace) -> None:
    from training.rendering import engine, work

    if a.assets is None:
        raise SystemExit("the stage 'render' needs --assets DIR")
    engine.set_threads(a.threads)
    missing = engine.available()
    if missing is not None:
        raise SystemExit(missing)
    order = work.Order(
        a.assets / "hdri", a.out / "rendered", a.seed, a.scenes, effort=a.effort, views=a.views
    )
    work.run(order)


def main() -> None:
    """Run the stages that were asked for."""
    a = _arguments()
    stages = STAGES if a.stage == "all" else (a.stage,)
    if "render" in stages:
        _render(a)
    import torch

    from training import (
        autoencoder,
        controlnet,
        crops,
        denoiser,
        draws,
        export,
        fidelity,
        loop,
        reach,
        start,
    )

    torch.set_num_threads(a.threads)
    out, drawn, vae = a.out, a.out / "draws", a.out / "vae"
    demo = a.demo or out / "demo"
    hdri = a.assets / "hdri" if a.assets else None
    if "draws" in stages:
        draws.write(out / "rendered", drawn, a.seed, _HELD, "held")
        draws.write(out / "rendered", drawn, a.seed, a.draws)
        draws.write(out / "rendered", drawn, a.seed, a.draws, "chosen")
    if "start" in stages and not vae.exists():
        if a.start == "nothing":
            autoencoder.prepare(out, crops.Crops(drawn, hdri, a.photos), a.seed)
        else:
            start.fetch_autoencoder(out)
        if a.start == "kept":
            start.fetch_networks(out)
    if "denoiser" in stages:
        plan = loop.Plan(a.denoiser_steps, 1e-3, a.seed, average=0.999)
        denoiser.train(out, plan)
    if "controlnet" in stages:
        plan = loop.Plan(a.controlnet_steps, 3e-3, a.seed, warmup=50, matrix_rate=3e-3)
        controlnet.train(out, plan)
    if "autoencoder" in stages:
        plan = loop.Plan(a.autoencoder_steps, 1e-3, a.seed, warmup=100)
        autoencoder.train(out, crops.Crops(drawn, hdri, a.photos), plan, a.batch)
    if "export" in stages:
        print(f"{export.export(out, demo):,} bytes in {demo}")
    if "reach" in stages:
        print(json.dumps(reach.measure(demo, out, a.seed), indent=2))
    if "sheet" in stages:
        reach.sheet(demo, out / "sheet.png")
    if "fidelity" in stages:
        print(json.dumps(fidelity.measure(vae, drawn, a.held_photos), indent=2))


if __name__ == "__main__":
    main()
