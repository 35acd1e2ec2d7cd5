"""The wait for the models: as long as it takes, told, and ended only by what cannot get better."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from huggingface_hub import constants

from deployments.launch import startup
from deployments.launch.errors import LaunchError
from deployments.launch.plan import Plan, make_plan
from deployments.launch.startup import wait_for_models
from deployments.launch.status import NOTHING, Report, State

FRAME = ("ingress", "admission", "studio", "storage")


def report(frame: str = "HEALTHY", **models: str) -> Report:
    states = {("a", name): State(frame, "RuntimeError: boom") for name in FRAME}
    states |= {("a", name): State(status, "RuntimeError: why") for name, status in models.items()}
    return Report("", {"a": State("DEPLOYING", "")}, states)


class Scripted:
    """A watch that has a report for each look, and the last one for ever."""

    def __init__(self, *reports: Report) -> None:
        self._reports = list(reports)

    def look(self) -> Report:
        return self._reports.pop(0) if len(self._reports) > 1 else self._reports[0]


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(startup, "LOOK_S", 0.001)


def plan(folder: Path, **settings: object) -> Plan:
    models = [{"id": name, "name": name, **settings} for name in ("one", "two")]
    application = {"name": "a", "import_path": "deployments.app:build", "args": {"models": models}}
    (folder / "config.yaml").write_text(yaml.safe_dump({"applications": [application]}))
    return make_plan(folder / "config.yaml")


def test_a_finder_of_its_own_is_waited_for(tmp_path, capsys):
    own = plan(tmp_path)
    args = own.applications[0].args
    finder = args.studio.finder.model_copy(update={"separate": True})
    args = args.model_copy(update={"studio": args.studio.model_copy(update={"finder": finder})})
    own = replace(own, applications=(replace(own.applications[0], args=args),))
    failed = report(one="HEALTHY", two="HEALTHY", finder="DEPLOY_FAILED")
    with pytest.raises(LaunchError, match=r"^finder cannot start: why$"):
        wait_for_models(own, Scripted(failed))
    ready = report(one="HEALTHY", two="HEALTHY", finder="HEALTHY")
    waiting = report(one="HEALTHY", two="HEALTHY", finder="UPDATING")
    watch = Scripted(waiting, ready)
    assert wait_for_models(own, watch) == ["one", "two"]
    assert watch.look() is ready


def lines(capsys) -> list[str]:
    return [line.removeprefix("backdrop: ") for line in capsys.readouterr().out.splitlines()]


def test_each_model_is_told_once_when_it_is_ready(tmp_path, capsys):
    watch = Scripted(
        NOTHING,
        report("UPDATING", one="UPDATING", two="UPDATING"),
        report("HEALTHY", one="UPDATING", two="HEALTHY"),
        report("HEALTHY", one="HEALTHY", two="UPSCALING"),
    )
    assert wait_for_models(plan(tmp_path), watch) == ["two", "one"]
    assert lines(capsys) == ["model two is ready (0 s)", "model one is ready (0 s)"]


def test_the_frame_is_waited_for_too(tmp_path):
    waited = [report("UPDATING", one="HEALTHY", two="HEALTHY")] * 5
    watch = Scripted(*waited, report("HEALTHY", one="HEALTHY", two="HEALTHY"))
    wait_for_models(plan(tmp_path), watch)
    assert watch.look() == report("HEALTHY", one="HEALTHY", two="HEALTHY")


def test_a_model_that_fails_is_told_and_the_others_serve(tmp_path, capsys):
    watch = Scripted(report("HEALTHY", one="DEPLOY_FAILED", two="HEALTHY"))
    assert wait_for_models(plan(tmp_path), watch) == ["two"]
    assert lines(capsys) == ["model one cannot start: why", "model two is ready (0 s)"]


def test_without_any_model_it_ends(tmp_path):
    watch = Scripted(report("HEALTHY", one="DEPLOY_FAILED", two="DEPLOY_FAILED"))
    with pytest.raises(LaunchError, match="no model can start"):
        wait_for_models(plan(tmp_path), watch)


def test_a_frame_that_cannot_start_ends_it_with_its_reason(tmp_path):
    watch = Scripted(report("DEPLOY_FAILED", one="UPDATING", two="UPDATING"))
    with pytest.raises(LaunchError, match="admission cannot start: boom"):
        wait_for_models(plan(tmp_path), watch)


def test_an_application_that_cannot_be_built_ends_it_with_its_reason(tmp_path):
    failed = State("DEPLOY_FAILED", "Traceback\nModuleNotFoundError: No module named 'x'")
    with pytest.raises(LaunchError, match="the application a cannot start: No module named 'x'"):
        wait_for_models(plan(tmp_path), Scripted(Report("", {"a": failed}, {})))


def test_what_takes_long_is_told_with_what_the_hub_has_given(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(startup, "FIRST_WORD_S", 0.0)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    blobs = tmp_path / "hub" / "models--owner--name" / "blobs"
    blobs.mkdir(parents=True)
    (blobs / "abc").write_bytes(bytes(3_000_000))
    (blobs / "def.incomplete").write_bytes(bytes(2_000_000))
    watch = Scripted(report(one="UPDATING", two="UPDATING"), report(one="HEALTHY", two="HEALTHY"))
    wait_for_models(plan(tmp_path, weights="owner/name", revision="main"), watch)
    told = "still loading one, two (0 s); 5 MB of owner/name are here"
    assert told in lines(capsys)
