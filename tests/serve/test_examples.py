"""Every program of examples/, against a real service: what it saves, says and refuses."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from tests.documents import ROOT, links
from tests.npm import installed
from tests.serve.conftest import Cluster

EXAMPLES = ROOT / "examples"
PHOTO = str(ROOT / "deployments" / "samples" / "coffee.png")
TYPESCRIPT = ("typescript@5.9.3", "@types/node@22.19.0")


def run(
    cluster: Cluster, folder: Path, *command: str | Path, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a program in a folder of its own."""
    return subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "BACKDROP_URL": cluster.url, **environment},
        capture_output=True,
        text=True,
        timeout=300,  # generous, so that no busy machine meets it
    )


def python(
    cluster: Cluster, folder: Path, example: str, *arguments: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    return run(cluster, folder, sys.executable, EXAMPLES / example, *arguments, **environment)


def saved(folder: Path) -> list[Path]:
    """The images in a folder, all of which can be opened."""
    files = sorted(folder.rglob("*.png"))
    for file in files:
        Image.open(file).load()
    return files


def test_generate_saves_images_and_a_variation(cluster: Cluster, tmp_path: Path) -> None:
    done = python(cluster, tmp_path, "generate.py", PHOTO, "Tropical beach", "--then", "Forest")
    assert done.returncode == 0, done.stderr
    assert len(saved(tmp_path / "backdrop-images")) == 3


def test_generate_ends_with_the_sentence_of_the_service(cluster: Cluster, tmp_path: Path) -> None:
    done = python(cluster, tmp_path, "generate.py", PHOTO, "Beach", "--model", "nothing")
    assert done.returncode == 1
    assert re.match(r"unknown_model: .*nothing.*\([\w-]+\)$", done.stderr.strip())


def test_a_product_is_cut_out_corrected_and_kept(cluster: Cluster, tmp_path: Path) -> None:
    with Image.open(PHOTO) as photo:
        strokes = Image.new("L", photo.size)
    strokes.paste(255, (0, 0, strokes.width, strokes.height // 20))
    strokes.save(tmp_path / "remove.png")
    command = ("cutout.py", PHOTO, "Beach", "--point", "0.5,0.5", "--remove", "remove.png")
    done = python(cluster, tmp_path, *command)
    assert done.returncode == 0, done.stderr
    assert (
        len(re.findall(r"^cut out: \d+ x \d+ pixels at .* certainty [01]\.", done.stdout, re.M))
        == 2
    )
    modes = []
    for path in saved(tmp_path / "backdrop-images"):
        with Image.open(path) as picture:
            modes.append(picture.mode)
    assert sorted(modes) == ["L", "RGB", "RGB", "RGBA"]


def test_events_come_in_order(cluster: Cluster, tmp_path: Path) -> None:
    done = python(cluster, tmp_path, "events.py", PHOTO, "Tropical beach")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert re.match(r"image \d: step 1 of \d", lines[0])
    assert lines[-1] == "done: 2 images"
    assert len(re.findall(r"^image \d: http\S+ \(seed \d+\)$", done.stdout, re.MULTILINE)) == 2


def test_jobs_are_followed_and_taken_up_again(cluster: Cluster, tmp_path: Path) -> None:
    for name in ("one.png", "two.png"):
        shutil.copy(PHOTO, tmp_path / name)
    (tmp_path / "three.png").write_bytes(b"no image")
    command = ("jobs.py", "Beach", "one.png", "two.png", "three.png")
    done = python(cluster, tmp_path, *command)
    assert done.returncode == 0, done.stderr
    assert "three.png: invalid_image: " in done.stdout
    first = saved(tmp_path / "backdrop-images")
    assert [path.name for path in first] == ["one-1.png", "two-1.png"]
    # Both photos are alike, and so are their jobs.
    content = first[0].read_bytes()
    assert first[1].read_bytes() == content
    first[1].unlink()
    assert python(cluster, tmp_path, *command).returncode == 0
    assert first[1].read_bytes() == content


def test_openais_package_saves_images(cluster: Cluster, tmp_path: Path) -> None:
    if "CI" not in os.environ:
        pytest.importorskip("openai")
    command = ("openai_client.py", PHOTO, "Tropical beach", "--seed", "5")
    done = python(cluster, tmp_path, *command)
    assert done.returncode == 0, done.stderr
    assert [path.name for path in saved(tmp_path)] == ["openai-5.png", "openai-6.png"]
    done = python(cluster, tmp_path, *command, "--images", "99")
    assert done.returncode == 1
    assert re.match(r"invalid_request: .*n must be less than", done.stderr)


def test_the_shell_saves_images(cluster: Cluster, tmp_path: Path) -> None:
    done = run(cluster, tmp_path, "bash", EXAMPLES / "generate.sh", PHOTO, "Tropical beach", "out")
    assert done.returncode == 0, done.stderr
    assert [str(path.relative_to(tmp_path)) for path in saved(tmp_path)] == sorted(
        done.stdout.split()
    )
    assert len(saved(tmp_path / "out")) == 2


def test_the_shell_shows_what_is_wrong(cluster: Cluster, tmp_path: Path) -> None:
    done = run(cluster, tmp_path, "bash", EXAMPLES / "generate.sh", EXAMPLES / "jobs.py", "Beach")
    assert done.returncode == 1
    assert '"code":"invalid_image"' in done.stderr.replace(" ", "")


@pytest.fixture(scope="module")
def typescript(pytestconfig: pytest.Config) -> Path:
    """A folder with the compiler, fetched once from npm's registry."""
    return installed(pytestconfig, *TYPESCRIPT)


def test_the_typescript_is_right_and_runs(
    cluster: Cluster, typescript: Path, tmp_path: Path
) -> None:
    """Checked and made into JavaScript by TypeScript itself, so that any Node.js runs it."""
    (tmp_path / "node_modules").symlink_to(typescript / "node_modules")
    options = "--strict --erasableSyntaxOnly --target es2022 --module nodenext --types node"
    compiler = tmp_path / "node_modules" / ".bin" / "tsc"
    shutil.copy(EXAMPLES / "conversation.mts", tmp_path)
    done = run(cluster, tmp_path, compiler, *options.split(), "conversation.mts")
    assert done.returncode == 0, done.stdout
    command = ("node", "conversation.mjs", PHOTO, "Tropical beach", "Change background to forest")
    done = run(cluster, tmp_path, *command)
    assert done.returncode == 0, done.stderr
    assert len(re.findall(r"^image \d: http\S+$", done.stdout, re.MULTILINE)) == 4
    assert re.search(r"^seeds: \d+, \d+$", done.stdout, re.MULTILINE)


def test_every_example_is_in_the_list_and_has_a_test() -> None:
    files = {path.name for path in EXAMPLES.iterdir() if path.is_file()} - {"README.md"}
    listed = {link for link in links("examples/README.md") if "/" not in link}
    assert listed == files
    tests = Path(__file__).read_text(encoding="utf-8")
    assert all(f'"{name}"' in tests for name in files)
