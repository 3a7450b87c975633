"""What the callers of an agent are expected to say, for an engine that must be told. Pure."""

from __future__ import annotations

import contextlib
import json

from telephony.errors import InvalidInput
from voice_agents.core.agent import AgentSpec
from voice_agents.core.grammar import Grammar, Rule
from voice_agents.core.reception_spec import reception_of
from voice_agents.core.reception_words import NUMBER, SUBJECT, YES_NO, menu

_MOST_HINTS = 200


def grammars_of(spec: AgentSpec) -> dict[str, Grammar]:
    """The agent's grammars by the name that ``Words.expect`` has; the empty name is what holds at first.

    An agent may bring sentences of its own, ``hints`` in the fields that are kept for it: those hold then,
    with yes, no and digits. Hints that are no sentences are left out; all of them where they come to too
    many.
    """
    own = menu(tuple(reception_of(spec).departments))
    hinted = _hints(spec)
    first = own
    if hinted:
        with contextlib.suppress(InvalidInput):
            first = Grammar("hints", (*hinted, *YES_NO.rules), digits=True)
    return {"": first, "menu": own, "yes_no": YES_NO, "number": NUMBER, "subject": SUBJECT}


def _hints(spec: AgentSpec) -> tuple[Rule, ...]:
    try:
        kept = json.loads(spec.passed_on)
    except ValueError:
        return ()
    said = kept.get("hints") if isinstance(kept, dict) else None
    rules = []
    for sentence in said[:_MOST_HINTS] if isinstance(said, list) else ():
        if isinstance(sentence, str):
            rule = Rule("hint", sentence.lower())
            try:
                Grammar("one", (rule,))
            except InvalidInput:
                continue
            rules.append(rule)
    return tuple(rules)
