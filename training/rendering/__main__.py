"""Command line: `python -m training.rendering --assets DIR --out DIR` renders training pictures.

What is there is left alone, so that a run may be broken off and started again at any time. Several
processes share the work with --shard 0 --shards 2, --shard 1 --shards 2 and so on.
"""

import argparse
from pathlib import Path

from training.rendering import engine, kinds, work


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m training.rendering", description=__doc__)
    parser.add_argument("--assets", type=Path, required=True, help="npm's @pmndrs/assets 1.7.0")
    parser.add_argument("--out", type=Path, required=True, help="folder of the pictures")
    parser.add_argument("--count", type=int, default=4_000, help="scenes in all")
    parser.add_argument("--kinds", nargs="*", default=kinds.NAMES, help="kinds of scenes")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--size", type=int, default=256, help="pixels of a side")
    parser.add_argument("--effort", type=float, default=1.0, help="times the scenes' own samples")
    parser.add_argument("--views", type=int, default=1, help="pictures of each scene")
    parser.add_argument("--shard", type=int, default=0)
    parser.add_argument("--shards", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def main() -> None:
    """Render what was asked for."""
    a = _arguments()
    engine.set_threads(a.threads)
    missing = engine.available()
    if missing is not None:
        raise SystemExit(missing)
    names = tuple(a.kinds)
    order = work.Order(
        a.assets / "hdri",
        a.out,
        a.seed,
        a.count,
        names,
        a.size,
        a.effort,
        a.views,
        a.shard,
        a.shards,
    )
    work.run(order)


if __name__ == "__main__":
    main()
