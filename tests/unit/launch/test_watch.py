"""Who is gone is noticed, and everything that was started is ended: with real processes."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import psutil
import pytest
import yaml

from deployments.launch import processes, watch
from deployments.launch.errors import LaunchError
from deployments.launch.plan import Plan, make_plan
from deployments.launch.processes import end, is_alive, session
from deployments.launch.status import NOTHING, Report, State
from deployments.launch.watch import Watch

UP = {("a", name): State("HEALTHY", "") for name in ("ingress", "admission", "m")}


class Told:
    """Reports that a test writes."""

    def __init__(self) -> None:
        self.latest = Report("", {"a": State("RUNNING", "")}, dict(UP))
        self.age_s = 0.0

    def say(self, name: str, status: str, message: str = "") -> None:
        self.latest.deployments["a", name] = State(status, message)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A child that has started what a Ray node consists of, and a grandchild that hides."""
    for name in ("raylet", "gcs_server"):
        shutil.copy(shutil.which("sleep"), tmp_path / name)
    script = f"(sleep 300 & sleep 300) & {tmp_path}/gcs_server 300 & {tmp_path}/raylet 300 & wait"
    child = subprocess.Popen(["sh", "-c", script], stdin=subprocess.PIPE, start_new_session=True)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    wait_for(lambda: names(child) >= {"raylet", "gcs_server", "sleep"})
    try:
        yield child
    finally:
        for each in session(child):
            each.kill()
        child.wait(10)
        child.stdin.close()
        for number, handler in handlers.items():
            signal.signal(number, handler)


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    models = {"models": [{"id": "m", "name": "M"}]}
    application = {"name": "a", "import_path": "deployments.app:build", "args": models}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({"applications": [application]}))
    return make_plan(tmp_path / "config.yaml", 9)


@contextmanager
def proxy(plan: Plan) -> Iterator[Plan]:
    """A server whose health can be asked for."""

    class Healthy(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/-/healthz" else 404)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Healthy) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield make_plan(plan.file, server.server_port)
        finally:
            server.shutdown()
            thread.join()


def names(child: subprocess.Popen[bytes]) -> set[str]:
    return {each.name() for each in session(child)}


def wait_for(condition) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize("name", ["raylet", "gcs_server"])
def test_a_node_that_is_gone_is_noticed(node, plan, name):
    watched = Watch(plan, node, Told())
    watched.look()
    (vital,) = [each for each in session(node) if each.name() == name]
    vital.kill()
    psutil.wait_procs([vital], timeout=10)
    with pytest.raises(LaunchError, match=f"the node is gone: Ray's {name}"):
        watched.look()


def test_a_service_that_ends_by_itself_is_noticed(node, plan):
    watched = Watch(plan, node, Told())
    node.kill()
    node.wait(10)
    with pytest.raises(LaunchError, match="ended by itself with signal 9"):
        watched.look()


def test_reports_that_do_not_come_end_it_only_once_there_was_one(node, plan):
    told = Told()
    told.age_s = watch.SILENCE_S + 1
    with pytest.raises(LaunchError, match="has not told how it is"):
        Watch(plan, node, told).look()
    told.latest = NOTHING
    assert Watch(plan, node, told).look() == NOTHING


@pytest.mark.parametrize("polite", [True, False])
def test_the_end_leaves_no_process(node, monkeypatch, polite):
    """Those whose parent has died first are ended too."""
    monkeypatch.setattr(processes, "STOP_TIMEOUT_S", 0.5)
    monkeypatch.setattr(processes, "LEFTOVERS_TIMEOUT_S", 0.2)
    started = session(node)
    if not polite:
        node.kill()
        node.wait(10)
        assert len(session(node)) == len(started) - 1
    end(node)
    assert session(node) == []
    assert not any(is_alive(each) for each in started)


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(watch, "LOOK_S", 0.01)
    monkeypatch.setattr(watch, "PROXY_INTERVAL_S", 0.05)
    monkeypatch.setattr(watch, "PATIENCE_S", 0.3)
    monkeypatch.setattr(watch, "WORD_S", 0.1)


@pytest.mark.usefixtures("impatient")
def test_a_proxy_that_stays_away_ends_it(node, plan):
    with pytest.raises(LaunchError, match=r"nothing answers at http://127.0.0.1:9, for 0.3 s"):
        Watch(plan, node, Told()).stay()


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    ("name", "sentence"),
    [("ingress", "ingress of the application a fails: no room"), (None, "no longer deployed")],
)
def test_an_application_that_stays_unhealthy_ends_it(node, plan, name, sentence):
    told = Told()
    if name is None:
        told.latest = NOTHING
    else:
        told.say(name, "UNHEALTHY", "no room")
    with proxy(plan) as reached, pytest.raises(LaunchError, match=sentence):
        Watch(reached, node, told).stay()


@contextmanager
def staying(plan, node, told) -> Iterator[list[str]]:
    """Watch in a thread until the node is killed, at the end; what ended it comes into the list."""
    ended: list[str] = []

    def stay() -> None:
        try:
            Watch(reached, node, told).stay()
        except LaunchError as error:
            ended.append(str(error))

    with proxy(plan) as reached:
        thread = threading.Thread(target=stay)
        thread.start()
        try:
            yield ended
        finally:
            node.kill()
            thread.join(30)


@pytest.mark.usefixtures("impatient")
def test_a_model_that_fails_is_told_and_ends_nothing(node, plan, capsys):
    told = Told()
    with staying(plan, node, told) as ended:
        told.say("m", "UNHEALTHY", "out of memory")
        out = heard(capsys, "does not work")
        assert "model m does not work: out of memory" in out
        told.say("m", "HEALTHY")
        assert "model m works again" in heard(capsys, "works again")
        assert not ended
    assert "ended by itself" in ended[0]


def test_a_trouble_that_passes_is_told_and_ends_nothing(node, plan, capsys, monkeypatch, impatient):
    monkeypatch.setattr(watch, "PATIENCE_S", 60)
    told = Told()
    with staying(plan, node, told) as ended:
        told.say("ingress", "UNHEALTHY", "it crashed")
        out = heard(capsys, "Serve tries to mend it")
        assert "ingress of the application a fails: it crashed; Serve tries to mend it" in out
        told.say("ingress", "HEALTHY")
        heard(capsys, "the service answers again")
        assert not ended


def heard(capsys: pytest.CaptureFixture[str], word: str) -> str:
    out = ""

    def has_come() -> bool:
        nonlocal out
        out += capsys.readouterr().out
        return word in out

    wait_for(has_come)
    return out


def test_what_outlives_its_starter_does_not():
    """The child ends by itself when the launcher is killed: its standard input ends then."""
    script = (
        "import signal, threading, time, deployments.launch.serve_process as s;"
        "signal.signal(signal.SIGINT, signal.SIG_IGN);"
        "s.cli.main = lambda *_, **__: (print('runs', flush=True), time.sleep(300));"
        "s.main()"
    )
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", script, "x"], stdin=pipe, stdout=pipe) as child:
        assert child.stdout.readline() == b"runs\n"
        child.stdin.close()
        try:
            assert child.wait(60) != 0
        finally:
            child.kill()
