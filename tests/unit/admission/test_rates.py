"""Rates of API keys: what is let in, what is refused and for how long."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployments.admission.rates import Rates
from deployments.admission_messages import RateLeft
from deployments.errors import RateLimited
from deployments.settings import IngressSettings, RateSettings


class Same(Rates):
    """Rates of keys that all have the same limits."""

    def __init__(self, limits: RateSettings) -> None:
        super().__init__()
        self.limits = limits

    def take(self, key, images):
        return super().take(key, images, self.limits)


class Clock:
    """Stands for the time the library reads."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1_000_000.0
        monkeypatch.setattr(time, "time", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def refused(rates: Same, key: str, images: int) -> RateLimited:
    with pytest.raises(RateLimited) as caught:
        rates.take(key, images)
    return caught.value


def test_without_limits_everything_is_let_in():
    rates = Same(RateSettings())
    for _ in range(1000):
        rates.take("shop", 64)


def test_the_sentence_names_the_limit_its_value_and_the_key(clock):
    rates = Same(RateSettings(requests_per_minute=2))
    rates.take("shop", 4)
    rates.take("shop", 4)
    error = refused(rates, "shop", 4)
    assert (error.status, error.code) == (429, "rate_limited")
    assert "requests_per_minute: the limit of key 'shop' is 2" in str(error)
    assert "0 are left" in str(error)


def test_callers_without_a_key_are_one(clock):
    rates = Same(RateSettings(requests_per_minute=1))
    rates.take("", 1)
    assert "all callers together" in str(refused(rates, "", 1))


def test_images_are_counted_whole_or_not_at_all(clock):
    rates = Same(RateSettings(images_per_minute=8))
    rates.take("shop", 5)
    assert "3 are left now and this request needs 4" in str(refused(rates, "shop", 4))
    rates.take("shop", 3)
    refused(rates, "shop", 1)


def test_a_refused_request_counts_for_nothing(clock):
    rates = Same(RateSettings(requests_per_minute=2, images_per_minute=8))
    rates.take("shop", 8)
    refused(rates, "shop", 1)  # the images
    clock.now += 59
    refused(rates, "shop", 1)
    clock.now += 2
    rates.take("shop", 1)
    rates.take("shop", 1)  # both requests: the refused ones took none


def test_keys_do_not_share(clock):
    rates = Same(RateSettings(images_per_minute=8))
    rates.take("shop", 8)
    rates.take("other", 8)
    refused(rates, "shop", 1)


def test_the_wait_is_until_the_oldest_leaves_the_window(clock):
    rates = Same(RateSettings(images_per_minute=8))
    rates.take("shop", 4)
    clock.now += 20
    rates.take("shop", 4)
    clock.now += 10
    error = refused(rates, "shop", 2)
    assert error.retry_after_s == pytest.approx(30)
    clock.now += error.retry_after_s + 0.01
    rates.take("shop", 2)


def test_a_large_request_waits_until_enough_has_left_the_window(clock):
    rates = Same(RateSettings(images_per_minute=8))
    rates.take("shop", 4)
    clock.now += 20
    rates.take("shop", 4)
    error = refused(rates, "shop", 6)
    assert error.retry_after_s == pytest.approx(60)
    clock.now += error.retry_after_s + 0.01
    rates.take("shop", 6)


def test_a_changed_limit_goes_on_counting(clock):
    rates = Same(RateSettings(images_per_minute=8))
    rates.take("shop", 6)
    rates.limits = RateSettings(images_per_minute=10)
    rates.take("shop", 4)
    rates.limits = RateSettings(images_per_minute=3)
    clock.now += 30
    error = refused(rates, "shop", 1)
    assert error.rates == (RateLeft("images", 3, 0, pytest.approx(30)),)
    assert error.retry_after_s == pytest.approx(30)
    clock.now += error.retry_after_s + 0.01
    rates.take("shop", 3)


def test_each_key_may_have_limits_of_its_own(clock):
    rates = Rates()
    small, large = RateSettings(requests_per_minute=1), RateSettings(requests_per_minute=3)
    rates.take("small", 1, small)
    for _ in range(3):
        rates.take("large", 1, large)
    for key, own in (("small", small), ("large", large)):
        with pytest.raises(RateLimited, match=f"key '{key}' is {own.requests_per_minute}"):
            rates.take(key, 1, own)
    for _ in range(9):
        rates.take("free", 1, RateSettings())


@settings(max_examples=60, deadline=None)
@given(
    limit=st.integers(1, 20),
    asked=st.lists(st.tuples(st.floats(0, 40), st.integers(1, 20)), max_size=40),
)
def test_no_window_of_a_minute_ever_holds_more(limit, asked):
    with pytest.MonkeyPatch.context() as patch:
        clock = Clock(patch)
        rates = Same(RateSettings(images_per_minute=limit))
        taken: list[tuple[float, int]] = []
        for pause, images in asked:
            clock.now += pause
            try:
                rates.take("shop", images)
            except RateLimited:
                continue
            taken.append((clock.now, images))
            recent = [count for moment, count in taken if moment > clock.now - 60]
            assert sum(recent) <= limit


def test_a_rate_that_no_large_request_could_meet_is_no_setting():
    with pytest.raises(ValueError, match=r"rates\.images_per_minute 4 is under max_images 8"):
        IngressSettings(rates=RateSettings(images_per_minute=4))
    IngressSettings(rates=RateSettings(images_per_minute=8))


def test_a_request_without_images_is_a_request() -> None:
    rates = Same(RateSettings(requests_per_minute=2, images_per_minute=1))
    for _ in range(2):
        rates.take("shop", 0)
    with pytest.raises(RateLimited, match="requests_per_minute"):
        rates.take("shop", 0)
    rates = Same(RateSettings(images_per_minute=1))
    rates.take("shop", 1)
    rates.take("shop", 0)
