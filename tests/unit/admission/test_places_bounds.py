"""Places under any order of requests: no bound is crossed, and nobody is left out."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from deployments.errors import Overloaded
from tests.unit.admission.test_places import Model

ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["a", "b", "c", ""]), st.integers(1, 6)),
        st.floats(0.1, 20.0),
        st.sampled_from(["finish a", "finish b", "finish c", "finish "]),
    ),
    max_size=80,
)


@settings(deadline=None)
@given(st.integers(1, 8), ACTIONS)
def test_the_bounds_hold_whatever_happens(limit, actions):
    model = Model(limit)
    for action in actions:
        before = model.held
        if isinstance(action, float):
            model.now += action
        elif isinstance(action, str):
            key = action.removeprefix("finish ")
            if before[key]:
                model.finish(key, made=True)
        else:
            key, images = action
            try:
                model.take(key, images)
            except Overloaded:
                assert model.held == before
            else:
                assert model.held == before + Counter({key: images})
                others = sum(1 for other in before if other != key)
                if before[key] and others:
                    assert model.held[key] <= limit / (others + 1)
        assert model.held.total() <= limit


@settings(deadline=None, max_examples=40)
@given(
    limit=st.integers(4, 24),
    sizes=st.lists(st.integers(1, 4), min_size=2, max_size=5),
    seconds=st.integers(1, 4),
)
def test_greedy_keys_reach_their_shares_within_bounded_time(limit, sizes, seconds):
    """Each asks as often as it can, and again as soon as it was told to; one was there first."""
    model = Model(limit)
    keys = {f"k{n}": size for n, size in enumerate(sizes)}
    first = "k0"
    for _ in range(limit // keys[first]):
        model.take(first, keys[first])
    ends = {lease.id: float(seconds) for lease in model.leases}
    again = dict.fromkeys(keys, 0.0)
    most, served = Counter[str](), Counter[str]()
    for tick in range(240):
        model.now = tick / 4
        for lease in [lease for lease in model.leases if ends[lease.id] <= model.now]:
            model.finish(lease.api_key_name, made=True)
        for key, size in keys.items():
            while again[key] <= model.now:
                try:
                    model.take(key, size, mark=f"{key} {served[key]}")
                except Overloaded as refusal:
                    again[key] = model.now + max(1.0, refusal.retry_after_s)
                else:
                    ends[model.leases[-1].id] = model.now + seconds
                    served[key] += 1
        if tick > 100:  # when what the first one held has gone
            for key, held in model.held.items():
                most[key] = max(most[key], held)
    share = limit / len(keys)
    for key, size in keys.items():
        assert served[key] > 0
        assert most[key] <= max(share, size)
        # While somebody else's requests are larger than a share, the others make room for them.
        if max(sizes) <= share:
            assert most[key] >= share // size * size
