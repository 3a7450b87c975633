"""Session descriptions for one PCMU stream with DTMF events (RFC 4566, RFC 4733). Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from gateway.trial.sip_message import SipSyntaxError

PCMU = 0
DTMF = 101
_AUDIO = re.compile(r"m=audio (\d+)(?:/\d+)? RTP/AVP(?:F)? ([\d ]+)$")
_RTPMAP = re.compile(r"a=rtpmap:(\d+) telephone-event/8000", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class MediaAddress:
    """Where the far end wants its audio; ``dtmf`` is its payload type for events, if it takes them."""

    host: str
    port: int
    dtmf: int | None = None
    sending: bool = True


def describe(host: str, port: int, session_id: int, version: int = 1) -> bytes:
    """An offer or answer: PCMU and telephone events, both directions, 20 ms packets."""
    return (
        f"v=0\r\no=- {session_id} {version} IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\n"
        f"m=audio {port} RTP/AVP {PCMU} {DTMF}\r\na=rtpmap:{PCMU} PCMU/8000\r\n"
        f"a=rtpmap:{DTMF} telephone-event/8000\r\na=fmtp:{DTMF} 0-16\r\na=ptime:20\r\na=sendrecv\r\n"
    ).encode()


def read_media(body: bytes) -> MediaAddress:
    """The audio address in a description. Raises ``SipSyntaxError`` if PCMU audio is not on offer."""
    host, port, formats, dtmf, sending = "", 0, "", None, True
    for line in body.decode("utf-8", "replace").splitlines():
        if line.startswith("c=IN IP4 "):
            host = line.removeprefix("c=IN IP4 ").split("/")[0].strip()
        elif (offer := _AUDIO.match(line)) and not port:
            port, formats = int(offer.group(1)), offer.group(2)
        elif line in ("a=recvonly", "a=inactive"):
            sending = False
        elif match := _RTPMAP.match(line):
            dtmf = int(match.group(1))
    if not host or not port or str(PCMU) not in formats.split():
        raise SipSyntaxError("no PCMU audio in the session description", field="m=audio")
    return MediaAddress(host, port, dtmf, sending)
