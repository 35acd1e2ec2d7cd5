"""Addresses of pages, as browsers write them and as a configuration must."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator


def _as_browsers_write(origin: str) -> str:
    """Accept an origin as a browser sends it; another one would never match.

    Raises:
        ValueError: It is none.
    """
    if origin == "*":
        return origin
    match = re.fullmatch(r"(https?)://(\[[0-9a-f:.]+\]|[^\s/?#:@\[\]]+)(?::([0-9]{1,5}))?", origin)
    if match is None or origin != origin.lower():
        raise ValueError(
            "must be * or an origin as browsers write it: scheme and host in lower case and "
            "nothing behind them but a port, such as https://shop.example"
        )
    if (match[1], match[3]) in (("http", "80"), ("https", "443")):
        raise ValueError(f"browsers leave out the port :{match[3]} of {match[1]}: so must this")
    return origin


PageOrigin = Annotated[str, AfterValidator(_as_browsers_write)]
