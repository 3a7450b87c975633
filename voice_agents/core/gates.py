"""What a session allows its sound at the moment: read fifty times a second, so not worked out each time."""

from __future__ import annotations

from dataclasses import dataclass

from voice_agents.core.session import Session


@dataclass(slots=True)
class Gates:
    """``takes``: what the agent says is kept; ``plays``: and the caller is there to hear it; ``forwards``:
    the agent hears the caller; ``sounding``: the agent is being heard."""

    takes: bool = False
    plays: bool = False
    forwards: bool = False
    sounding: bool = False

    def follow(self, session: Session) -> None:
        """Be as this session has it."""
        self.takes = session.takes_sound
        self.plays = session.gate_open
        self.forwards = session.forwards_caller
        self.sounding = session.sounding
