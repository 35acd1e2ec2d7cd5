"""The leases and claims that the ingress replicas hold.

The ledger is a state machine; its callers tell it the time. Nothing is stored. A ledger that begins
empty learns everything from the replicas' reports. What a replica held is dropped when it no longer
reports.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from deployments.admission_messages import Claim, Lease, Report
from deployments.errors import IdempotencyConflict


class _Held(Protocol):
    @property
    def id(self) -> str: ...

    @property
    def sequence(self) -> int: ...


H = TypeVar("H", bound=_Held)


@dataclass(slots=True)
class _Replica:
    heard: float
    reported: int = 0
    asked: frozenset[str] = frozenset()
    leases: dict[str, Lease] = field(default_factory=dict)
    claims: dict[str, Claim] = field(default_factory=dict)

    def withdrew(self, held: _Held) -> bool:
        """Tell whether a later message shows that nobody waits for this any more."""
        return held.sequence < self.reported and held.id not in self.asked


class Ledger:
    """What the ingress replicas hold.

    Args:
        patience_s: Seconds without a message after which a replica has lost what it held.
    """

    def __init__(self, patience_s: float) -> None:
        self._patience_s = patience_s
        self._replicas: dict[str, _Replica] = {}

    def report(self, report: Report, now: float) -> None:
        """Take over what a replica says it holds, unless a later report came before.

        Args:
            report: What it says.
            now: Seconds of a monotonic clock.
        """
        replica = self._replica(report.replica, now)
        if report.sequence <= replica.reported:
            return
        replica.leases = _merged(replica.leases, report.leases, report)
        replica.claims = _merged(replica.claims, report.claims, report)
        replica.reported, replica.asked = report.sequence, report.asked

    def add(self, name: str, lease: Lease, now: float) -> None:
        """Note a granted lease, unless its request has left meanwhile.

        Args:
            name: The ingress replica.
            lease: What was granted.
            now: Seconds of a monotonic clock.
        """
        replica = self._replica(name, now)
        if not replica.withdrew(lease):
            replica.leases[lease.id] = lease

    def holds(self, name: str, lease: Lease) -> bool:
        """Tell whether a replica has this lease already and asks again."""
        return name in self._replicas and lease.id in self._replicas[name].leases

    def claim(self, name: str, claim: Claim, now: float) -> bool:
        """Claim an idempotency key, or find that another request has it.

        Args:
            name: The ingress replica.
            claim: What it asks for.
            now: Seconds of a monotonic clock.

        Returns:
            Whether the claim is granted. If not, the other request has the same content.

        Raises:
            IdempotencyConflict: The other request has another content.
        """
        self._expire(now)
        for other in self._replicas.values():
            for running in other.claims.values():
                if running.name != claim.name or running.id == claim.id:
                    continue
                if running.fingerprint != claim.fingerprint:
                    raise IdempotencyConflict(
                        "this Idempotency-Key belongs to a request with another body, "
                        "which is running now"
                    )
                return False
        replica = self._replica(name, now)
        if not replica.withdrew(claim):
            replica.claims[claim.id] = claim
        return True

    def leases(self, model: str, now: float) -> list[Lease]:
        """The leases of a model, of all replicas that still report.

        Args:
            model: Catalog id.
            now: Seconds of a monotonic clock.
        """
        self._expire(now)
        return [lease for lease in self._all() if lease.model == model]

    def _all(self) -> Iterator[Lease]:
        for replica in self._replicas.values():
            yield from replica.leases.values()

    def _replica(self, name: str, now: float) -> _Replica:
        self._expire(now)
        replica = self._replicas.setdefault(name, _Replica(heard=now))
        replica.heard = now
        return replica

    def _expire(self, now: float) -> None:
        self._replicas = {
            name: replica
            for name, replica in self._replicas.items()
            if now - replica.heard <= self._patience_s
        }


def _merged(present: Mapping[str, H], told: Iterable[H], report: Report) -> dict[str, H]:
    """Join what a report tells and what was granted while the report was on its way."""
    unheard = {
        held.id: held
        for held in present.values()
        if held.id in report.asked or held.sequence > report.sequence
    }
    return unheard | {held.id: held for held in told}
