"""The one Ray cluster that runs while tests do, which the tests of several folders may share."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from typing import Any, TypeVar

T = TypeVar("T")

CLUSTERS = ("cluster", "launched", "world", "jobs")
"""The fixtures that `Running` keeps, each a service on a Ray of its own."""


class Running:
    """Starts a cluster when the first test asks for it, and ends it when another is wanted.

    Two at once would be too much for a small machine, and one that idles takes a sixth of a core
    from the tests that come after.
    """

    def __init__(self) -> None:
        self._name = ""
        self._cluster: Any = None
        self._failure: Exception | None = None
        self._stack = ExitStack()

    def get(self, name: str, start: Callable[[], AbstractContextManager[T]]) -> T:
        """The cluster of a name, started where another or none is running.

        Args:
            name: One of `CLUSTERS`.
            start: Starts it, and ends it at the end.

        Raises:
            RuntimeError: It could not be started, now or when it was asked for before.
        """
        if self._name != name:
            self.close()
            self._name = name
            try:
                self._cluster = self._stack.enter_context(start())
            except Exception as error:
                self._failure = error
        if self._failure is not None:
            raise RuntimeError(f"{name} could not be started: {self._failure}") from self._failure
        return self._cluster  # type: ignore[no-any-return]  # what `start` gave

    def close_unless_used(self, fixtures: list[str]) -> None:
        """End what runs where the next test, which uses these fixtures, wants another."""
        wanted = [name for name in CLUSTERS if name in fixtures]
        if wanted and self._name not in wanted:
            self.close()

    def close(self) -> None:
        """End what runs."""
        stack, self._stack = self._stack, ExitStack()
        self._name, self._cluster, self._failure = "", None, None
        stack.close()
