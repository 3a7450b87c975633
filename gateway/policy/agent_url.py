"""Where an agent may be: the webhook guard's rules, for WebSocket addresses."""

from __future__ import annotations

from typing import Final

from gateway.webhooks.core.ssrf import Policy, check_url
from telephony.errors import InvalidInput

INVALID_AGENT_URL: Final = "INVALID_AGENT_URL"
_AS_HTTP: Final = {"ws": "http", "wss": "https"}
_AS_SOCKET: Final = {"http": "ws", "https": "wss"}


def check_agent_url(text: str, policy: Policy, field: str = "url") -> str:
    """The one spelling of an allowed address: ``wss``, or ``ws`` to loopback and private networks where the
    policy opens those. Raises ``InvalidInput`` (INVALID_AGENT_URL). What a name leads to is checked again at
    every connection."""
    scheme, colon, rest = text.partition(":")
    plain = _AS_HTTP.get(scheme.lower())
    if not colon or plain is None:
        raise _refused("wss://host[:port]/path", field)
    try:
        target = check_url(f"{plain}:{rest}", policy, field)
    except InvalidInput as error:
        raise _refused((error.expected or "").replace("https", "wss"), field) from None
    return _AS_SOCKET[target.scheme] + target.url.removeprefix(target.scheme)


def _refused(expected: str, field: str) -> InvalidInput:
    return InvalidInput(
        f"the agent's address is refused: expected {expected}",
        field=field,
        expected=expected,
        code=INVALID_AGENT_URL,
    )
