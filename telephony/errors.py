"""The one tree of errors.

    PatchbayError
    ├── InvalidInput            a request breaks a rule; names the field and the rule
    │   ├── MalformedRequest    not even JSON, or a bad cursor
    │   └── UnknownReference    a field names something that does not exist for this tenant
    ├── NotAuthenticated        no key, or a key that is unknown, expired or revoked
    ├── NotPermitted            the key's role or scope does not allow it
    ├── NotFound                no such thing for this tenant
    ├── Conflict                the thing is in a state that forbids it
    ├── TooMany                 a rate, concurrency or volume limit; says when to come back
    ├── Unavailable             a server we need is away; says when to come back
    │   ├── SwitchUnavailable
    │   ├── StorageUnavailable
    │   ├── SpeechUnavailable
    │   └── AgentUnavailable    ``why``: refused, timeout, forbidden
    ├── SwitchRefused           the switch answered an order with an error
    ├── OutcomeUnknown          an order may or may not have been carried out; look before acting again
    └── UnsafeValue             a value must never reach a wire (CR, LF, NUL, too long, wrong alphabet)

Adapters translate foreign exceptions into this tree at the seam; each HTTP face maps it to
responses in one table. ``code`` is a stable word; ``field``, ``value`` and ``expected`` say what to mend.
"""

from __future__ import annotations


class PatchbayError(Exception):
    """Base of every error we raise on purpose. ``code`` is stable, the message is for people."""

    code = "INTERNAL_ERROR"

    def __init__(self, message: str = "", *, code: str | None = None) -> None:
        super().__init__(message or (self.__doc__ or "").strip().split("\n")[0])
        if code is not None:
            self.code = code

    @property
    def message(self) -> str:
        return str(self.args[0])


class InvalidInput(PatchbayError):
    """The request breaks a rule."""

    code = "VALIDATION_ERROR"

    def __init__(
        self,
        message: str,
        *,
        field: str | None = None,
        value: object = None,
        expected: str | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(message, code=code)
        self.field = field
        self.value = value
        self.expected = expected


class MalformedRequest(InvalidInput):
    """The request cannot be read at all."""

    code = "VALIDATION_ERROR"


class UnknownReference(InvalidInput):
    """A field names something that does not exist."""


class NotAuthenticated(PatchbayError):
    """No valid API key was given."""

    code = "UNAUTHORIZED"


class NotPermitted(PatchbayError):
    """The API key's role or scopes do not allow this."""

    code = "INSUFFICIENT_PERMISSIONS"


class NotFound(PatchbayError):
    """There is no such resource."""

    code = "NOT_FOUND"


class Conflict(PatchbayError):
    """The resource is in a state that does not allow this."""

    code = "CONFLICT"


class TooMany(PatchbayError):
    """A limit was reached."""

    code = "RATE_LIMITED"

    def __init__(
        self, message: str, *, retry_after_s: int, limit: int, window: str, code: str | None = None
    ) -> None:
        super().__init__(message, code=code)
        self.retry_after_s = retry_after_s
        self.limit = limit
        self.window = window


class Unavailable(PatchbayError):
    """A server this needs is not available."""

    code = "SERVICE_UNAVAILABLE"
    retry_after_s = 5


class SwitchUnavailable(Unavailable):
    """The telephone switch is not reachable; no call was started."""


class StorageUnavailable(Unavailable):
    """The database is not available."""


class SpeechUnavailable(Unavailable):
    """The speech engine is not available."""


class AgentUnavailable(Unavailable):
    """The AI agent cannot be reached."""

    code = "AGENT_UNAVAILABLE"

    def __init__(self, message: str = "", *, why: str = "refused") -> None:
        super().__init__(message)
        self.why = why


class RoomsUnavailable(Unavailable):
    """No video rooms: the media server is not configured, does not answer, or does not take our key."""


class SwitchRefused(PatchbayError):
    """The switch refused an order."""

    code = "SWITCH_REFUSED"


class OutcomeUnknown(PatchbayError):
    """The order was sent, but no answer came back: it may have been carried out."""

    code = "OUTCOME_UNKNOWN"


class UnsafeValue(PatchbayError):
    """A value has characters or a length that must not reach the wire."""

    code = "UNSAFE_VALUE"
