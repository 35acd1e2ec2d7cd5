"""The base of all settings."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """Base of all settings: frozen, and a misspelled key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())
