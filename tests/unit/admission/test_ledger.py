"""Who holds what: messages may be lost, repeated or late, and replicas may die."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployments.admission.ledger import Ledger
from deployments.admission_messages import Claim, Lease, Report
from deployments.errors import IdempotencyConflict


def lease(name: str, sequence: int, images: int = 1) -> Lease:
    return Lease(name, sequence, "m", "", images, 10, images)


def claim(name: str, sequence: int = 1, fingerprint: str = "f") -> Claim:
    return Claim(name, sequence, "key", fingerprint)


def report(replica: str, sequence: int, *leases: Lease, asked=(), claims=()) -> Report:
    return Report(replica, sequence, leases, tuple(claims), frozenset(asked), ())


@pytest.fixture
def ledger() -> Ledger:
    return Ledger(patience_s=10.0)


def held(ledger: Ledger, now: float = 0.0) -> dict[str, int]:
    return {lease.id: lease.images for lease in ledger.leases("m", now)}


def test_a_report_gives_back_what_it_leaves_out(ledger):
    ledger.add("r", lease("a", 1, images=3), 0.0)
    ledger.report(report("r", 2, lease("a", 1, images=1)), 0.0)
    assert held(ledger) == {"a": 1}
    ledger.report(report("r", 3), 0.0)
    assert held(ledger) == {}


def test_an_older_report_changes_nothing(ledger):
    ledger.report(report("r", 5, lease("a", 1)), 0.0)
    ledger.report(report("r", 4), 0.0)
    assert held(ledger) == {"a": 1}


def test_what_was_granted_while_a_report_was_on_its_way_stays(ledger):
    # The replica wrote its report before it asked, or before it heard the answer.
    ledger.add("r", lease("later", 3), 0.0)
    ledger.add("r", lease("asked", 1), 0.0)
    ledger.report(report("r", 2, asked=["asked"]), 0.0)
    assert held(ledger) == {"later": 1, "asked": 1}
    ledger.report(report("r", 4), 0.0)
    assert held(ledger) == {}


def test_a_lease_whose_request_has_left_is_not_added(ledger):
    ledger.report(report("r", 2), 0.0)
    ledger.add("r", lease("a", 1), 0.0)
    assert held(ledger) == {}
    ledger.report(report("r", 4, asked=["b"]), 0.0)
    ledger.add("r", lease("b", 3), 0.0)
    assert held(ledger) == {"b": 1}


def test_replicas_do_not_touch_each_other(ledger):
    ledger.add("r", lease("a", 1), 0.0)
    ledger.report(report("s", 9), 0.0)
    assert held(ledger) == {"a": 1}


def test_a_silent_replica_loses_everything_and_gets_it_back_by_speaking(ledger):
    ledger.report(report("r", 2, lease("a", 1), claims=[claim("c")]), 0.0)
    assert held(ledger, 10.0) == {"a": 1}
    assert not ledger.claim("s", claim("d"), 10.0)
    assert held(ledger, 10.1) == {}
    assert ledger.claim("s", claim("d"), 10.1)
    ledger.report(report("r", 8, lease("a", 1)), 20.0)
    assert held(ledger, 20.0) == {"a": 1}


def test_a_new_ledger_learns_from_reports():
    fresh = Ledger(patience_s=10.0)
    fresh.report(report("r", 7, lease("a", 1, images=2), claims=[claim("c")]), 0.0)
    assert held(fresh) == {"a": 2}
    assert not fresh.claim("s", claim("d"), 0.0)


def test_one_request_at_a_time_has_a_key(ledger):
    assert ledger.claim("r", claim("a"), 0.0)
    assert ledger.claim("r", claim("a"), 0.0)  # asked again, because the answer was lost
    assert not ledger.claim("r", claim("b", 2), 0.0)
    assert not ledger.claim("s", claim("c"), 0.0)
    with pytest.raises(IdempotencyConflict, match="another body"):
        ledger.claim("s", claim("d", fingerprint="g"), 0.0)
    ledger.report(report("r", 3), 0.0)
    assert ledger.claim("s", claim("c"), 0.0)


@settings(deadline=None)
@given(st.integers(0, 2**32), st.lists(st.sampled_from(["take", "free", "tell"]), max_size=40))
def test_after_all_messages_it_knows_what_is_held(seed, actions):
    """Whatever a replica does, and however its messages are lost, repeated and mixed up."""
    order = random.Random(seed)  # noqa: S311 - a test's
    ledger, number = Ledger(patience_s=1e9), 0
    mine: dict[str, Lease] = {}
    messages: list[Lease | Report] = []
    for action in actions:
        number += 1
        if action == "take":
            asked = lease(str(number), number)
            messages.append(asked)
            mine[asked.id] = asked
        elif action == "free" and mine:
            del mine[order.choice(sorted(mine))]
        else:
            messages.append(report("r", number, *mine.values()))
    last = report("r", number + 1, *mine.values())
    messages = [m for m in messages if isinstance(m, Lease) or order.random() < 0.7]
    messages += order.choices(messages, k=len(messages) // 2) if messages else []
    messages.insert(order.randint(0, len(messages)), last)
    order.shuffle(messages)
    for message in messages:
        if isinstance(message, Lease):
            ledger.add("r", message, 0.0)
        else:
            ledger.report(message, 0.0)
    assert set(held(ledger)) == set(mine)
