"""Why a batch does not begin, or does not go on."""

from __future__ import annotations


class WrongArguments(Exception):
    """What was asked for cannot be done; the message is one sentence for the terminal."""


class CannotGoOn(Exception):
    """The batch ends before its end; the message is one sentence. The same command goes on."""
