"""What pyproject.toml declares is what the code imports and what constraints.txt pins."""

from __future__ import annotations

import ast
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]


def requirements(lines: list[str]) -> list[Requirement]:
    return [Requirement(line) for line in lines if not line.startswith("backdrop[")]


def pins() -> dict[str, str]:
    """The exact version of each package of constraints.txt."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pairs = [line.partition("==") for line in lines if line and not line.startswith("#")]
    assert all(sign for _, sign, _ in pairs)
    return {canonicalize_name(name): version for name, _, version in pairs}


def imported() -> set[str]:
    """Top-level modules that the package imports and that are neither its own nor Python's."""
    found: set[str] = set()
    for folder in ("deployments", "storage"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Import):
                    found |= {name.name.partition(".")[0] for name in node.names}
                elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
                    found.add(node.module.partition(".")[0])
    return found - sys.stdlib_module_names - {"deployments", "storage"}


def test_the_tested_versions_are_in_the_ranges() -> None:
    pinned = pins()
    for name, lines in {"": PROJECT["dependencies"], **EXTRAS}.items():
        for each in requirements(lines):
            version = pinned[canonicalize_name(each.name)]
            assert each.specifier.contains(version, prereleases=True), f"{name}: {each}"


def test_every_import_is_declared() -> None:
    declared = {
        canonicalize_name(each.name)
        for each in requirements(
            PROJECT["dependencies"] + EXTRAS["safety"] + EXTRAS["credentials"] + EXTRAS["int8"]
        )
    }
    distributions = packages_distributions()
    for module in imported():
        # What is not installed here is known by its own name.
        providers = {canonicalize_name(name) for name in distributions.get(module, [module])}
        assert providers & declared, f"{module} comes with {sorted(providers)}, none is declared"


def test_the_pythons_named_are_those_allowed() -> None:
    allowed = SpecifierSet(PROJECT["requires-python"])
    named = [
        line.rpartition(" ")[2]
        for line in PROJECT["classifiers"]
        if line.startswith("Programming Language :: Python :: 3.")
    ]
    assert named == [f"3.{minor}" for minor in range(30) if allowed.contains(f"3.{minor}.0")]
