"""What a session allows its sound at the moment: read fifty times a second, so not worked out each time."""

from __future__ import annotations

from dataclasses import dataclass

from voice_agents.core.session import Session


@dataclass(slots=True)
class Gates:
    """``listens``: what the agent sends is taken in; ``takes``: what it has sent is kept; ``plays``: and the
    caller is there to hear it; ``forwards``: the agent hears the caller; ``sounding``: it is being heard."""

    listens: bool = False
    takes: bool = False
    plays: bool = False
    forwards: bool = False
    sounding: bool = False

    def follow(self, session: Session) -> None:
        """Be as this session has it."""
        self.listens = session.listens
        self.takes = session.takes_sound
        self.plays = session.gate_open
        self.forwards = session.forwards_caller
        self.sounding = session.sounding
