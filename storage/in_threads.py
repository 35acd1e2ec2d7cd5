"""What the groups of a storage replica's calls have in common."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ParamSpec, TypeVar

_P = ParamSpec("_P")
_T = TypeVar("_T")


class InThreads(ABC):
    """A group of calls whose work blocks; `Storage` has the threads."""

    @abstractmethod
    async def _run(self, function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Run what blocks in a thread of the replica's."""
