"""Which response of an OpenAI model comes when: one at a time may write to the conversation.

The model begins responses by itself once the caller has spoken; ours wait until it is done. An order that
crosses with one of the model's is refused by it, and is given again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Final

from voice_agents.core.talk import Summary
from voice_agents.wire import fields
from voice_agents.wire.fields import Message

SUMMARY: Final = "patchbay-summary"
FAREWELL: Final = "patchbay-farewell"
ALREADY: Final = "conversation_already_has_active_response"
_SOME: Final = "?"
"""A response is under way, though its id is not known."""


SUMMARY_REQUEST: Final[Mapping[str, object]] = {
    "type": "response.create",
    "response": {
        "conversation": "none",
        "output_modalities": ["text"],
        "metadata": {"purpose": SUMMARY},
        "tools": [],
        "instructions": "In at most three sentences, write down for the records what this call was about, "
        "what was agreed, and what is still to be done. Write nothing else.",
    },
}


def farewell(deadline_ms: int) -> Mapping[str, object]:
    """Twenty tokens are about a second of sound; a farewell cut off by its limit would end in mid-word."""
    return {
        "instructions": "Say goodbye to the caller now, in one short sentence. Ask nothing.",
        "max_output_tokens": max(200, min(1_000, deadline_ms // 10)),
        "metadata": {"purpose": FAREWELL},
        "tool_choice": "none",
    }


def summary(response: Message) -> Sequence[Summary]:
    """The text of the first message of a response."""
    output = response.get("output")
    for item in output if isinstance(output, list) else []:
        content = item.get("content") if isinstance(item, dict) else None
        for piece in content if isinstance(content, list) else []:
            text = piece.get("text") if isinstance(piece, dict) else None
            if isinstance(text, str) and text.strip():
                return (Summary(fields.words({"text": text.strip()[: fields.MAX_CAPTION]}, "text", 8_000)),)
    return ()


class Responses:
    """``active`` is the id of the response under way, empty for none."""

    def __init__(self) -> None:
        self.active = ""
        self._wanted: deque[dict[str, object]] = deque()
        self._asked: dict[str, object] | None = None
        self._asked_as = ""
        self._numbered = 0
        self._purposes: dict[str, str] = {}

    def want(self, **response: object) -> None:
        """Have this response made when it may be. Without any wishes: once, however often it is asked for."""
        if response or {} not in self._wanted:
            self._wanted.append(response)

    def forget(self) -> None:
        """What was wanted and not yet asked for is not wanted any more."""
        self._wanted.clear()

    def next(self) -> Mapping[str, object] | None:
        """The ``response.create`` that may be sent now, once."""
        if not self._wanted or self.active or self._asked is not None:
            return None
        self._asked = self._wanted.popleft()
        self._numbered += 1
        self._asked_as = f"patchbay-{self._numbered}"
        metadata = {"purpose": "", **_texts(self._asked.get("metadata")), "order": self._asked_as}
        response = {**self._asked, "metadata": metadata}
        return {"type": "response.create", "event_id": self._asked_as, "response": response}

    def created(self, response: Message) -> None:
        """``response.created``: ours, or one that the model began."""
        response_id = identifier(response, "id")
        metadata = _texts(response.get("metadata"))
        purpose = metadata.get("purpose", "")
        if purpose in (SUMMARY, FAREWELL):
            self._purposes[response_id] = purpose
        if purpose == SUMMARY:
            return
        self.active = response_id
        if metadata.get("order") == self._asked_as:
            self._asked = None

    def done(self, response: Message) -> str:
        """``response.done``: what it was for; empty for an ordinary one."""
        response_id = identifier(response, "id")
        purpose = self._purposes.pop(response_id, "")
        if purpose != SUMMARY and self.active in (response_id, _SOME):
            self.active = ""
        return purpose

    def refused(self, code: str, event_id: object) -> None:
        """An error answers one of our events; ``event_id`` says which, if the model knows."""
        if self._asked is None or event_id not in (None, "", self._asked_as):
            return
        if code == ALREADY:
            self._wanted.appendleft(self._asked)
            self.active = self.active or _SOME
        self._asked = None


def identifier(message: Message, name: str) -> str:
    return fields.shaped(message, name, fields.IDENTIFIER, "an id")


def _texts(metadata: object) -> dict[str, str]:
    if not isinstance(metadata, dict):
        return {}
    return {name: value for name, value in metadata.items() if isinstance(value, str)}
