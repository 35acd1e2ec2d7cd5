"""A few hundred files made to hurt: each is a clean picture or a refusal, and leaves nothing."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress

import psutil
import pytest
from upload_samples import decoded, rules

from deployments.errors import InvalidImage
from deployments.ingress.core.uploads import decode_mask
from tests.hostile_images import KINDS, hostile

FILES = 30 * len(KINDS)


@pytest.mark.parametrize("kind", range(len(KINDS)), ids=list(KINDS))
def test_a_clean_picture_or_a_refusal(kind):
    outcomes = Counter()
    for number in range(kind, FILES, len(KINDS)):
        _, data = hostile(number)
        outcomes[_decode(data)] += 1
        with suppress(InvalidImage):
            assert decode_mask(data, rules()).ndim == 2
    assert outcomes["refused"] > 0


def test_nothing_is_left_open():
    process = psutil.Process()
    for number in range(len(KINDS)):  # what is loaded once
        _decode(hostile(number)[1])
    before = process.num_fds()
    for number in range(4 * len(KINDS)):
        _decode(hostile(number)[1])
    assert process.num_fds() == before


def _decode(data: bytes) -> str:
    try:
        return "a picture" if decoded(data).size else "nothing"
    except InvalidImage:
        return "refused"
