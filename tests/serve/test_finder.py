"""A finder in a deployment of its own: a real Serve with it and a studio, and nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.onnx_files import Node, Value, onnx_file

ROOT = Path(__file__).parents[2]

PROGRAM = """
import json, sys, time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
import numpy as np
import psutil
import ray
from ray import serve

from deployments.app import build
from deployments.jobs import Layout, Photo
from deployments.settings import AppArgs

ray.init(num_cpus=4, include_dashboard=False, logging_level="ERROR")
# The studio and its finder, as the application wires them.
studio = build(AppArgs.model_validate(json.loads(sys.argv[1])))._bound_deployment.init_args[1]
handle = serve.run(studio, name="x", route_prefix=None)

pixels = np.full((240, 320, 3), 235, np.uint8)
pixels[60:180, 40:120] = (20, 30, 160)
pixels[60:180, 200:280] = (210, 30, 160)

def search():
    return handle.open_upload.remote(Photo(pixels), None, "true", Layout(64)).result(timeout_s=100)

def finder():
    (process,) = [
        child
        for child in psutil.Process().children(recursive=True)
        if "ServeReplica:x:finder" in " ".join(child.cmdline())
    ]
    return process

alpha = search().product.alpha
told = {
    "left": int(alpha[80:160, 60:100].min()),
    "right": int(alpha[80:160, 220:260].max()),
    "nodes": sorted(serve.status().applications["x"].deployments),
}
process = finder()
process.suspend()
with ThreadPoolExecutor() as pool:
    waiting = pool.submit(search)
    time.sleep(2)
    process.kill()
    told["after"] = int(waiting.result().product.alpha[80:160, 60:100].min())
Path(sys.argv[2]).write_text(json.dumps(told))
serve.shutdown()
ray.shutdown()
"""


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A network that marks what is dark in red: 8 * (0.5 - red), a logit."""
    slope = np.zeros((1, 3, 1, 1), np.float32)
    slope[0, 0] = -8
    file = tmp_path / "red.onnx"
    file.write_bytes(
        onnx_file(
            [Node("Conv", ("image", "slope", "middle"), "mask")],
            [Value("image", (1, 3, 64, 64))],
            [Value("mask", (1, 1, 64, 64))],
            {"slope": slope, "middle": np.float32([4])},
        )
    )
    return file


def test_the_studio_asks_the_finders_own_replica(weights: Path) -> None:
    answer = weights.parent / "answer.json"
    finder = {
        "network": "custom",
        "weights": str(weights),
        "size": 64,
        "scale": 255,
        "mean": [0, 0, 0],
        "deviation": [1, 1, 1],
        "values": "logits",
        "separate": True,
    }
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps({"studio": {"finder": finder}}), answer],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    told = json.loads(answer.read_text())
    assert told["nodes"] == ["finder", "studio"]
    assert (told["left"], told["right"]) == (255, 0)
    # One that dies before it takes a search costs nothing: the next one takes it.
    assert told["after"] == 255
