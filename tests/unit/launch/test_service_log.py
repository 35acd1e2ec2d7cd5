"""What becomes of the service's lines: all in a file, of requests a short line on the terminal."""

from __future__ import annotations

import io
import logging

import pytest
from ray._common.formatters import JSONFormatter
from ray.serve._private.logging_utils import ServeFormatter

from deployments.launch import service_log
from deployments.launch.errors import LaunchError
from deployments.launch.service_log import OWN_IDS, ServiceLog, request_line
from tests.unit.ingress.memory import surface

PREFIX = "(ServeReplica:backdrop:ingress pid=7900) "


@pytest.fixture
async def lines(caplog, tmp_path):
    """Lines about real requests, as Serve's formatters write them in a replica."""
    caplog.set_level(logging.INFO)
    api = surface(tmp_path)
    async with api.client:
        await api.generate(num_images=2)
        await api.client.get("/api/models", headers={"X-Request-Id": f"{OWN_IDS}-1"})
        await api.client.get("/nowhere")
    formatters = [ServeFormatter("ingress", "abc"), JSONFormatter()]
    records = [each for each in caplog.records if each.getMessage().startswith("request ")]
    return [[PREFIX + formatter.format(each) for each in records] for formatter in formatters]


async def test_each_request_is_a_short_line_in_text_and_in_json(lines):
    for form in lines:
        generated, own, missing = (request_line(line) for line in form)
        assert generated is not None
        assert generated.startswith("POST /api/generate 200  (")
        assert generated.endswith(" s, stable-diffusion, 2 images)")
        assert own is None
        assert missing is not None
        assert " 404 not_found  (" in missing


@pytest.mark.parametrize(
    "line",
    [
        "",
        "(ServeController pid=1) INFO 2026-11-28 15:25:59 controller 1 -- Adding 1 replica.",
        "(ServeReplica:backdrop:ingress pid=1) INFO x y z -- request",
        '{"message": "model ready"}',
        "{not JSON}",
        "[1]}",
    ],
)
def test_other_lines_are_none(line):
    assert request_line(line) is None


def test_no_value_of_a_caller_s_reaches_the_terminal_raw():
    told = request_line(f"x -- request method=POST status=200 model=\x1b[31m{'a' * 500}")
    assert told is not None
    assert told.isprintable()
    assert len(told) < 100


def test_all_lines_are_in_the_file_without_colours_and_requests_are_shown(tmp_path, capsys):
    log = ServiceLog(tmp_path / "service.log")
    request = "x -- request method=GET route=/docs status=200 duration_ms=1500"
    log.follow(io.BytesIO(f"\x1b[36mbefore\x1b[0m\n{request}\n".encode())).join(5)
    assert capsys.readouterr().out == ""
    log.show_requests()
    log.follow(io.BytesIO(f"after 100 %s\n{request}\n".encode())).join(5)
    log.close()
    assert capsys.readouterr().out[9:] == "GET /docs 200  (1.50 s)\n"
    assert log.end() == ["before", request, "after 100 %s", request]
    assert log.path.read_text().splitlines() == log.end()


def test_the_file_has_a_largest_size_and_the_run_before_is_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(service_log, "MOST_BYTES", 1000)
    path = tmp_path / "service.log"
    path.write_text("of the run before\n")
    log = ServiceLog(path)
    assert (tmp_path / "service.log.1").read_text() == "of the run before\n"
    log.follow(io.BytesIO(b"a line of thirty characters...\n" * 1000)).join(10)
    log.close()
    sizes = sorted((each.name, each.stat().st_size <= 1000) for each in tmp_path.iterdir())
    assert sizes == [("service.log", True), ("service.log.1", True)]


def test_a_file_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(LaunchError, match=r"the log .*nowhere.*name another with --log"):
        ServiceLog(tmp_path / "nowhere" / "service.log")
