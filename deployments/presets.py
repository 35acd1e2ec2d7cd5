"""Named sets of fields that requests may choose, and those that are shipped."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated

from pydantic import StringConstraints

PresetName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")]
PresetFields = Mapping[str, str | float | bool]
"""Fields of a request by their names, as JSON has them."""

DEFAULT_PRESETS: Mapping[PresetName, PresetFields] = MappingProxyType({
    "marketplace-white": {
        "background": "#FFFFFF", "aspect_ratio": "1:1", "padding": 0.075, "output_format": "jpeg",
    },
    "square-scene": {"aspect_ratio": "1:1", "padding": 0.15, "output_format": "jpeg"},
    "story": {"aspect_ratio": "9:16", "padding": 0.12, "output_format": "jpeg"},
})  # fmt: skip
"""For the main picture of a market place, and for two places of a social network."""
