"""What the documents say of the code is what the code does, and their links lead somewhere."""

import json
import posixpath
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel

from deployments import errors
from deployments.config import read_config
from deployments.finder_settings import KNOWN
from deployments.settings import (
    AppArgs,
    IngressSettings,
    ModelSettings,
    StorageSettings,
    StudioSettings,
)
from storage.settings import FilesystemSettings, MinioSettings
from tests.documents import ROOT, anchors, blocks, documents, links, read, table

CONFIGURATION = "docs/configuration.md"


def keys(model: type[BaseModel], prefix: str = "") -> dict[str, object]:
    """Default by dotted key of a settings model."""
    found: dict[str, object] = {}
    for name, field in model.model_fields.items():
        default = field.get_default(call_default_factory=True)
        if isinstance(default, BaseModel):
            found.update(keys(type(default), f"{prefix}{name}."))
        else:
            found[prefix + name] = default
    return found


def test_the_readme_is_short() -> None:
    assert len(read("README.md").splitlines()) <= 150


def test_every_page_of_the_manual_can_be_reached_from_the_readme() -> None:
    reached: set[str] = set()
    ahead = ["README.md"]
    while ahead:
        page = ahead.pop()
        reached.add(page)
        folder = posixpath.dirname(page)
        for link in links(page):
            target = posixpath.normpath(posixpath.join(folder, link.partition("#")[0]))
            if target in documents() and target not in reached:
                ahead.append(target)
    assert set(documents()) - reached == set()


@pytest.mark.parametrize("document", [*documents(), "k8s/README.md"])
def test_links_lead_to_files_and_headings(document: str) -> None:
    broken = []
    for link in links(document):
        path, _, anchor = link.partition("#")
        target = posixpath.normpath(posixpath.join(posixpath.dirname(document), path))
        if not path:
            target = document
        if not (ROOT / target).exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


def test_the_gpu_configuration_is_valid(tmp_path: Path) -> None:
    whole = [block for block in blocks("yaml") if "applications:" in block.text]
    assert whole
    for block in whole:
        config = tmp_path / "config.yaml"
        config.write_text(block.text)
        read_config(config)
    gpu = next(block for block in whole if block.document == "docs/models.md")
    assert yaml.safe_load(gpu.text)["applications"][0]["args"]["models"][0]["device"] == "cuda"


def test_the_minio_configuration_is_valid() -> None:
    block = next(block for block in blocks("yaml") if "minio" in block.text)
    settings = StorageSettings.model_validate(yaml.safe_load(block.text)["storage"])
    assert isinstance(settings.store, MinioSettings)


def test_the_finder_configurations_are_valid() -> None:
    told = [block for block in blocks("yaml") if block.text.startswith("studio:")]
    finders = [AppArgs.model_validate(yaml.safe_load(block.text)).studio.finder for block in told]
    assert {finder.network for finder in finders} == {"birefnet-lite", "custom"}
    assert all(f"`{network}`" in read("docs/models.md") for network in KNOWN)


def test_the_json_is_json() -> None:
    assert [json.loads(block.text) for block in blocks("json")]


def commands() -> list[str]:
    """The `make` commands that the pages name, in blocks and in sentences."""
    pages = "\n".join(read(document) for document in documents())
    return sorted(set(re.findall(r"(?:^|`)(make [a-z][\w-]*)", pages, re.MULTILINE)))


def test_the_make_commands_exist() -> None:
    assert {"make run", "make test"} <= set(commands())
    make = shutil.which("make")
    assert make is not None
    for command in commands():
        subprocess.run([make, "-n", command.split()[1]], cwd=ROOT, check=True, capture_output=True)


@pytest.mark.parametrize(
    ("heading", "wanted"),
    [
        ("## The models", keys(ModelSettings)),
        ("## The ingress", keys(IngressSettings)),
        ("## The studio", keys(StudioSettings)),
        (
            "## The storage",
            {
                **keys(FilesystemSettings, "store."),
                **keys(MinioSettings, "store."),
                **{
                    name: value
                    for name, value in keys(StorageSettings).items()
                    if not name.startswith("store.")
                },
            },
        ),
    ],
    ids=["models", "ingress", "studio", "storage"],
)
def test_the_tables_name_every_setting_and_its_default(
    heading: str, wanted: dict[str, object]
) -> None:
    told = {row[0].strip("`"): row[-1].strip("`") for row in table(CONFIGURATION, heading)}
    assert set(told) == set(wanted)
    for key, default in wanted.items():
        if isinstance(default, bool):
            assert told[key] == str(default).lower(), key
        elif isinstance(default, int | float):
            assert float(told[key]) == default, key


def test_the_table_of_errors_names_every_code_and_its_status() -> None:
    told = {(int(row[0]), row[1].strip("`")) for row in table("docs/api.md", "## Errors")}
    classes = [errors.ServiceError]
    for known in classes:
        classes.extend(known.__subclasses__())
    # The framework's own answer, which is made into ours.
    assert told == {(known.status, known.code) for known in classes} | {(405, "method_not_allowed")}
