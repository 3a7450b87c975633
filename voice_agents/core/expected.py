"""What the callers of an agent are expected to say, for an engine that must be told. Pure."""

from __future__ import annotations

import contextlib
import re

from telephony.errors import InvalidInput
from voice_agents.core.agent import AgentSpec
from voice_agents.core.grammar import Grammar, Rule
from voice_agents.core.reception_spec import kept_fields, reception_of
from voice_agents.core.reception_words import NUMBER, SUBJECT, YES_NO, menu

_MOST_HINTS = 200
_BETWEEN = re.compile(r"[,;\n]")


def grammars_of(spec: AgentSpec) -> dict[str, Grammar]:
    """The agent's grammars by the name that ``Words.expect`` has; the empty name is what holds at first.

    An agent may bring sentences of its own, ``hints`` in its metadata: those hold then, with yes, no and
    digits. Hints that are no sentences are left out; all of them where they come to too many.
    """
    own = menu(tuple(reception_of(spec).departments))
    hinted = _hints(spec)
    first = own
    if hinted:
        with contextlib.suppress(InvalidInput):
            first = Grammar("hints", (*hinted, *YES_NO.rules), digits=True)
    return {"": first, "menu": own, "yes_no": YES_NO, "number": NUMBER, "subject": SUBJECT}


def _hints(spec: AgentSpec) -> tuple[Rule, ...]:
    rules = []
    for sentence in _hinted(spec)[:_MOST_HINTS]:
        rule = Rule("hint", sentence.lower())
        with contextlib.suppress(InvalidInput):
            Grammar("one", (rule,))
            rules.append(rule)
    return tuple(rules)


def _hinted(spec: AgentSpec) -> list[str]:
    """``hints`` of the agent's metadata: sentences between commas, semicolons or line ends."""
    metadata = kept_fields(spec).get("metadata")
    said = metadata.get("hints") if isinstance(metadata, dict) else None
    return _BETWEEN.split(said) if isinstance(said, str) else []
