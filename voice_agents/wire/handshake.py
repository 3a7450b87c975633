"""What a connection to an agent proves before its first message. Pure; secrets go into headers alone.

Native: ``X-Patchbay-Signature: t=<Unix seconds>,v1=<hex HMAC-SHA256>`` of ``<t>.<session id>.<url>``; agents
refuse what is more than five minutes away from their own clock. Media Streams and ConversationRelay:
``X-Twilio-Signature``, base64 HMAC-SHA1 of the address
(https://www.twilio.com/docs/usage/security#validating-requests; a WebSocket has no parameters to add).
"""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import b64encode
from collections.abc import Sequence
from typing import Final

from telephony.errors import UnsafeValue
from voice_agents.core.agent import AgentSpec, DialectName
from voice_agents.core.talk import Begin

SIGNATURE: Final = "X-Patchbay-Signature"
SESSION: Final = "X-Patchbay-Session"
TWILIO_SIGNATURE: Final = "X-Twilio-Signature"
SKEW_S: Final = 300
_PRINTABLE: Final = re.compile(r"[\x21-\x7e]{1,4096}")
_HEADER: Final = re.compile(r"t=([0-9]{1,12}),v1=([0-9a-f]{64})")


def headers(spec: AgentSpec, begin: Begin, url: str, now: float) -> Sequence[tuple[str, str]]:
    """The headers of this session's handshake. Raises ``UnsafeValue`` for what a header cannot hold."""
    known = [("User-Agent", "Patchbay"), (SESSION, _printable(begin.session_id))]
    match spec.auth.kind:
        case "bearer":
            return [*known, ("Authorization", f"Bearer {_printable(spec.auth.secret)}")]
        case "hmac" if spec.dialect in (DialectName.TWILIO, DialectName.CONVERSATION_RELAY):
            return [*known, (TWILIO_SIGNATURE, twilio_signature(spec.auth.secret, url))]
        case "hmac":
            return [*known, (SIGNATURE, signature(spec.auth.secret, begin.session_id, url, int(now)))]
    return known


def signature(secret: str, session_id: str, url: str, timestamp: int) -> str:
    """The value of ``X-Patchbay-Signature``."""
    signed = f"{timestamp}.{session_id}.{url}".encode()
    return f"t={timestamp},v1={hmac.digest(secret.encode(), signed, 'sha256').hex()}"


def proves(header: str, secret: str, session_id: str, url: str, now: float) -> bool:
    """Whether the header is ours, for this session and address, and of the last (or next) five minutes."""
    found = _HEADER.fullmatch(header)
    if found is None or abs(now - int(found[1])) > SKEW_S:
        return False
    return hmac.compare_digest(header, signature(secret, session_id, url, int(found[1])))


def twilio_signature(secret: str, url: str) -> str:
    """The value of ``X-Twilio-Signature``."""
    return b64encode(hmac.digest(secret.encode(), url.encode(), hashlib.sha1)).decode()


def _printable(text: str) -> str:
    if _PRINTABLE.fullmatch(text) is None:
        raise UnsafeValue("a header holds printable ASCII only")
    return text
