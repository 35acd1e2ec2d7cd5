"""Sends the log lines of this project to the log of a Serve replica, and makes every entry safe.

What a caller sent may come into a log in many ways, for example in an error's text. So an entry
never holds a line that looks like another entry, nor a terminal's control characters, and its
length is bounded.
"""

from __future__ import annotations

import logging
import re
import traceback

MOST_CHARACTERS = 4_000
"""Of a message; a longer one is cut, and tells how much is missing."""

MOST_TRACEBACK_CHARACTERS = 20_000

_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters, separators of lines, what turns the direction of writing, lone surrogates."""


def join_replica_log() -> None:
    """Let the handlers that Serve installs in each replica take our loggers' lines too."""
    serve_log = logging.getLogger("ray.serve")
    for name in ("deployments", "storage"):
        ours = logging.getLogger(name)
        ours.setLevel(serve_log.level)
        ours.parent = serve_log
    for handler in serve_log.handlers:
        if not any(isinstance(one, OneLine) for one in handler.filters):
            handler.addFilter(OneLine())


class OneLine(logging.Filter):
    """Escapes and cuts the message of every record; its traceback is indented."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Change the record; it is always logged."""
        record.msg, record.args = escaped(record.getMessage(), MOST_CHARACTERS), ()
        if record.exc_info and record.exc_info[1] is not None and not record.exc_text:
            text = "".join(traceback.format_exception(record.exc_info[1]))[
                :MOST_TRACEBACK_CHARACTERS
            ]
            record.exc_text = "\n".join(
                "  " + escaped(line, MOST_CHARACTERS) for line in text.split("\n")
            )
        return True


def escaped(text: str, most: int) -> str:
    """A text without what a log or a terminal takes for more than text, and not endless.

    Args:
        text: Any.
        most: Characters that are kept.
    """
    rest = len(text) - most
    kept = _UNSAFE.sub(lambda found: found[0].encode("unicode_escape").decode(), text[:most])
    return kept if rest <= 0 else f"{kept}... and {rest} characters more"
