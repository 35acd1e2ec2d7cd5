"""compose.yaml, as far as it can be tried without docker."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.k8s.manifests import K8S

ROOT = Path(__file__).parents[2]


def composed(*files: str) -> dict[str, Any]:
    """The services of the files, where those of a later one change those of an earlier one.

    Volumes are merged by where they are mounted, as docker does it.
    """
    services: dict[str, Any] = {}
    for file in files:
        for name, given in yaml.safe_load((ROOT / file).read_text())["services"].items():
            service = services.setdefault(name, {})
            mounts = {place_of(one): one for one in service.get("volumes", [])}
            mounts |= {place_of(one): one for one in given.get("volumes", [])}
            service |= given | {"volumes": list(mounts.values())}
    return services


def place_of(volume: str) -> str:
    return volume.split(":")[1]


VARIANTS = pytest.mark.parametrize(
    "files", [["compose.yaml"], ["compose.yaml", "compose.gpu.yaml"]], ids=["cpu", "gpu"]
)


def config_of(service: dict[str, Any]) -> Path:
    (mounted,) = [one for one in service["volumes"] if place_of(one).endswith("serve_config.yaml")]
    assert place_of(mounted) in service["command"]
    assert mounted.endswith(":ro")
    return ROOT / mounted.split(":")[0]


@VARIANTS
def test_the_service_finds_its_store_and_its_bucket(files: list[str]) -> None:
    services = composed(*files)
    document = yaml.safe_load(config_of(services["backdrop"]).read_text())
    (application,) = document["applications"]
    store = application["args"]["storage"]["store"]
    host, port = store["endpoint"].split(":")
    assert set(services["backdrop"]["networks"]) & set(services[host]["networks"])
    made = dict(
        part.removeprefix("--").partition("=")[::2]
        for part in services["bucket"]["command"]
        if part.startswith("--")
    )
    assert made["endpoint"] == f"{host}:{port}"
    assert made["bucket"] == store["bucket"]
    assert ("insecure" in made) == (store["secure"] is False)
    for name in ("BACKDROP_S3_ACCESS_KEY", "BACKDROP_S3_SECRET_KEY"):
        given = {services[one]["environment"][name] for one in ("backdrop", "bucket")}
        assert len(given) == 1
    listened = document["http_options"]
    assert listened["host"] == "0.0.0.0"  # noqa: S104 - in its container
    assert services["backdrop"]["ports"] == [f"127.0.0.1:${{PORT:-8000}}:{listened['port']}"]


@VARIANTS
def test_its_commands_run(files: list[str]) -> None:
    """Those of our image, by the programs that are installed here."""
    services = composed(*files)
    programs = Path(sysconfig.get_path("scripts"))
    environment = os.environ | {
        "BACKDROP_API_KEYS": "me:a-secret-of-twenty-letters",
        "BACKDROP_S3_ACCESS_KEY": "backdrop",
        "BACKDROP_S3_SECRET_KEY": "known-inside-only",
    }
    program, *_ = services["backdrop"]["command"]
    assert program == "backdrop"
    command = [programs / program, "check", config_of(services["backdrop"])]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "the configuration is in order" in done.stdout + done.stderr

    _, *module = services["bucket"]["command"]
    waiting = [part for part in module if not part.startswith("--wait")]
    there = [part.replace("object-store:9000", "127.0.0.1:9") for part in waiting]
    roots = {"BACKDROP_S3_ROOT_ACCESS_KEY": "root", "BACKDROP_S3_ROOT_SECRET_KEY": "also-inside"}
    done = subprocess.run(
        [sys.executable, *there],
        env=environment | roots,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "127.0.0.1:9" in done.stderr
    assert "unrecognized" not in done.stderr


def test_it_asks_for_keys_and_shows_the_store_to_nobody() -> None:
    services = composed("compose.yaml")
    keys = services["backdrop"]["environment"]["BACKDROP_API_KEYS"]
    assert keys.startswith("${BACKDROP_API_KEYS:?")
    networks = yaml.safe_load((ROOT / "compose.yaml").read_text())["networks"]
    assert networks["inside"] == {"internal": True}
    for name in ("object-store", "bucket"):
        assert services[name]["networks"] == ["inside"]
        assert "ports" not in services[name]


def test_the_object_store_is_the_cluster_s() -> None:
    manifest = (K8S / "base" / "object-store.yaml").read_text()
    image = composed("compose.yaml")["object-store"]["image"]
    assert "@sha256:" in image
    assert f"image: {image}\n" in manifest


def test_the_image_keeps_volumes_for_its_own_user() -> None:
    """docker gives a new volume the owner of the folder that it is mounted at."""
    dockerfile = (K8S / "Dockerfile").read_text()
    (made,) = [line for line in dockerfile.splitlines() if line.startswith("RUN mkdir")]
    for volume in composed("compose.yaml")["backdrop"]["volumes"]:
        if not volume.startswith("."):
            assert place_of(volume) in made.split()
