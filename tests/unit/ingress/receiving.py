"""A receiver of callbacks in memory."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from deployments.ingress.core.callbacks.ports import Outcome, Reply
from deployments.ingress.core.callbacks.targets import Target


@dataclass
class Receiving:
    """A receiver in memory.

    Attributes:
        replies: Statuses of the next answers, or what is raised instead; then 204 always.
        messages: URL, id and body of each that came.
        outcomes: What was counted.
    """

    replies: list[int | Reply | Exception] = field(default_factory=list)
    messages: list[tuple[str, str, dict]] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)

    async def post(self, target: Target, message_id: str, body: bytes) -> Reply:
        self.messages.append((target.url, message_id, json.loads(body)))
        reply = self.replies.pop(0) if self.replies else 204
        if isinstance(reply, Exception):
            raise reply
        return Reply(reply) if isinstance(reply, int) else reply

    def count(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)
