"""Whatever a log entry is made of, it is one entry that a terminal shows as text."""

from __future__ import annotations

import io
import json
import logging

import pytest
from ray._common.formatters import JSONFormatter

from deployments.logs import MOST_CHARACTERS, OneLine, escaped, join_replica_log

FORGED = "x\nINFO 2026-01-01 request id=1 status=200\r\x1b[31mred\x1b[0m\u2028next\u202eturned"


@pytest.fixture
def log():
    """A logger with a handler that filters, and the stream it writes to."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.addFilter(OneLine())
    logger = logging.Logger("deployments.test")
    logger.addHandler(handler)
    return logger, stream


def test_a_value_forges_no_line_and_no_colour(log) -> None:
    logger, stream = log
    logger.info("model %s", FORGED)
    assert stream.getvalue().splitlines() == [
        "model x\\nINFO 2026-01-01 request id=1 status=200\\r\\x1b[31mred\\x1b[0m"
        "\\u2028next\\u202eturned"
    ]


def test_an_error_s_text_forges_no_entry(log) -> None:
    logger, stream = log
    try:
        raise ValueError(FORGED)
    except ValueError:
        logger.exception("it failed")
    first, *others = stream.getvalue().removesuffix("\n").split("\n")
    assert first == "it failed"
    assert len(others) > 3
    assert all(line.startswith("  ") for line in others)
    assert "\x1b" not in stream.getvalue()
    assert any("ValueError: x" in line for line in others)


def test_a_message_is_not_endless(log) -> None:
    logger, stream = log
    logger.info("model %s", "a" * 900_000)
    assert len(stream.getvalue()) < MOST_CHARACTERS + 100
    assert stream.getvalue().endswith(f"and {900_006 - MOST_CHARACTERS} characters more\n")


def test_what_is_plain_stays_as_it_is() -> None:
    for text in ("a vase, 100 % → été 花瓶 🌲", "", "back\\slash"):
        assert escaped(text, 100) == text
    assert escaped("\ud800", 100) == "\\ud800"


def test_it_is_joined_once_to_every_handler_of_serve() -> None:
    serve_log = logging.getLogger("ray.serve")
    handler = logging.NullHandler()
    serve_log.addHandler(handler)
    try:
        join_replica_log()
        join_replica_log()
        assert [type(one) for one in handler.filters] == [OneLine]
    finally:
        serve_log.removeHandler(handler)


def test_json_lines_say_the_same() -> None:
    record = logging.LogRecord("deployments", logging.INFO, "", 1, "model %s", (FORGED,), None)
    OneLine().filter(record)
    told = json.loads(JSONFormatter().format(record))["message"]
    assert "\n" not in told
    assert "\x1b" not in told
