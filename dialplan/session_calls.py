"""Which open calls belong to which masking session."""

from __future__ import annotations

from dialplan.core.call import Call
from telephony.ids import CallId


class SessionCalls:
    """Kept as calls come, learn their session after a detour, and go. Calls of no session cost nothing."""

    def __init__(self) -> None:
        self._calls: dict[str, dict[CallId, None]] = {}

    def note(self, call: Call) -> None:
        """This call is open; it belongs to the session that its terms name."""
        if call.terms.session_id is not None:
            self._calls.setdefault(call.terms.session_id, {})[call.id] = None

    def forget(self, call: Call) -> None:
        """This call does not belong to the session that its terms name, any longer."""
        held = self._calls.get(call.terms.session_id or "")
        if held is None:
            return
        held.pop(call.id, None)
        if not held:
            del self._calls[call.terms.session_id or ""]

    def calls(self, session_id: str) -> list[CallId]:
        """The session's open calls, the oldest first."""
        return list(self._calls.get(session_id, ()))
