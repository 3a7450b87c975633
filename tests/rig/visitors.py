"""People in a LiveKit room, as a browser would be; the demonstration has the same."""

from gateway.trial.room_visitor import (
    HEARING_RATE,
    Packet,
    Samples,
    Visitor,
    loudness,
    share_of,
    tone,
    visitor,
)

__all__ = ["HEARING_RATE", "Packet", "Samples", "Visitor", "loudness", "share_of", "tone", "visitor"]
