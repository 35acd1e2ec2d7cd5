"""What the README says of the configuration is what the code takes."""

import json
import re
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel

from deployments.config import read_config
from deployments.settings import IngressSettings, ModelSettings, StorageSettings, StudioSettings
from storage.settings import FilesystemSettings, MinioSettings

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


def table(heading: str) -> dict[str, str]:
    """Default by key of the table under a heading's line."""
    rows = README.split(heading, 1)[1].lstrip().split("\n\n", 1)[0].splitlines()[2:]
    cells = [[cell.strip() for cell in row.strip("|").split(" | ")] for row in rows]
    return {row[0].strip("` "): row[-1].strip("` |") for row in cells}


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


def test_the_gpu_configuration_is_valid(tmp_path: Path) -> None:
    gpu = next(block for block in blocks("yaml") if "applications" in block)
    config = tmp_path / "gpu.yaml"
    config.write_text(gpu)
    assert read_config(config)["applications"][0]["args"]["models"][0]["device"] == "cuda"


def test_the_minio_configuration_is_valid() -> None:
    block = next(block for block in blocks("yaml") if "minio" in block)
    settings = StorageSettings.model_validate(yaml.safe_load(block)["storage"])
    assert isinstance(settings.store, MinioSettings)


def test_the_json_is_json() -> None:
    assert [json.loads(block) for block in blocks("json")]


@pytest.mark.parametrize(
    ("heading", "wanted"),
    [
        ("Under `args.models`, one entry for each model:", keys(ModelSettings)),
        ("Under `args.ingress`:", keys(IngressSettings)),
        ("Under `args.studio`:", keys(StudioSettings)),
        (
            "Under `args.storage`:",
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
def test_the_tables_name_every_key_and_its_default(heading: str, wanted: dict[str, object]) -> None:
    told = table(heading)
    assert set(told) == set(wanted)
    for key, default in wanted.items():
        if isinstance(default, bool):
            assert told[key] == str(default).lower(), key
        elif isinstance(default, int | float):
            assert float(told[key]) == default, key
