"""The sentence of an answer that says what of a prompt a demo model cannot draw."""

from __future__ import annotations

from collections.abc import Sequence

from deployments.ingress.core.demo.judging import Judge, Unseen
from deployments.ingress.core.demo.vocabulary import Vocabulary
from deployments.ingress.core.orders import Order
from deployments.settings import ModelSettings

ENGLISH_ONLY = (
    "prompt: this small demo model reads English only, so the picture may show something else; "
    "write the prompt in English"
)

_MOST_NAMED = 3
_LONGEST_NAME = 40
_HOW = "docs/models.md tells whoever runs this service how to add one"


class DemoWarnings:
    """Warns of prompts that demo models cannot follow.

    Args:
        catalog: The models. The words of the demo weights are read where one has these.
    """

    def __init__(self, catalog: Sequence[ModelSettings]) -> None:
        self._others = [model for model in catalog if not model.demo]
        self._demos = {model.id for model in catalog if model.demo}
        self._judge = Judge(Vocabulary.bundled()) if self._demos else None

    def of(self, order: Order) -> tuple[str, ...]:
        """A sentence, where a demo model shall draw what it has never seen."""
        if self._judge is None or order.model not in self._demos or not order.look.painted:
            return ()
        unseen = self._judge.judge(order.prompt)
        return (_sentence(unseen, self._others),) if unseen else ()


def _sentence(unseen: Unseen, others: Sequence[ModelSettings]) -> str:
    if unseen.foreign:
        return ENGLISH_ONLY
    things = {"people": unseen.people, "animals": unseen.animals}
    things["writing or logos"] = unseen.writing
    told = [f"no {kind} ({_named(words)})" for kind, words in things.items() if words]
    clauses = [f"draws {', '.join(told)}"] if told else []
    if unseen.others:
        clauses.append(f"has never seen {_named(unseen.others)}")
    instead = _instead(others, edits=bool(told))
    return f"prompt: this small demo model {' and '.join(clauses)}; {instead}"


def _named(words: Sequence[str]) -> str:
    shown = [" ".join(word.split()) for word in words[:_MOST_NAMED]]
    cut = [
        word if len(word) <= _LONGEST_NAME else f"{word[: _LONGEST_NAME - 1]}…" for word in shown
    ]
    more = len(words) - len(shown)
    return ", ".join(f'"{word}"' for word in cut) + (f" and {more} more" if more else "")


def _instead(others: Sequence[ModelSettings], *, edits: bool) -> str:
    """Which models draw it: a configured one, or the kind that may be added."""
    able = next((model for model in others if model.traits.edits or not edits), None)
    if able is not None:
        return f"choose model {able.id!r} ({able.name}) for that"
    if edits:
        return f"a model that edits photos does, such as FLUX.2 klein: {_HOW}"
    return f"larger models know more: {_HOW}"
