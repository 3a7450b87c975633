"""Session descriptions for one PCMU stream with DTMF events (RFC 4566, RFC 4733). Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from gateway.trial.sip_message import SipSyntaxError

PCMU = 0
DTMF = 101
_AUDIO = re.compile(r"m=audio (\d+)(?:/\d+)? RTP/AVP(?:F)? ([\d ]+)$")
_CRYPTO = re.compile(r"^a=crypto:\d+ \S+ inline:", re.MULTILINE)
_RTPMAP = re.compile(r"a=rtpmap:(\d+) telephone-event/8000", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class MediaAddress:
    """Where the far end wants its audio; ``dtmf`` is its payload type for events, if it takes them."""

    host: str
    port: int
    dtmf: int | None = None
    sending: bool = True


def describe(host: str, port: int, session_id: int, version: int = 1, *, key: str = "") -> bytes:
    """An offer or answer: PCMU and telephone events, both directions, 20 ms packets.

    With a ``key`` (30 octets in base64) it is one of SRTP by SDES (RFC 4568).
    """
    profile = "RTP/SAVP" if key else "RTP/AVP"
    crypto = f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{key}\r\n" if key else ""
    return (
        f"v=0\r\no=- {session_id} {version} IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\n"
        f"m=audio {port} {profile} {PCMU} {DTMF}\r\na=rtpmap:{PCMU} PCMU/8000\r\n"
        f"a=rtpmap:{DTMF} telephone-event/8000\r\na=fmtp:{DTMF} 0-16\r\na=ptime:20\r\na=sendrecv\r\n{crypto}"
    ).encode()


@dataclass(frozen=True, slots=True)
class Security:
    """What a description says of encryption: the profile it demands, and whether it has a key."""

    profile: str
    keyed: bool


def read_security(body: bytes) -> Security:
    """The encryption in a description; empty where there is no audio."""
    text = body.decode("utf-8", "replace").replace("\r\n", "\n")
    found = re.search(r"^m=audio \d+ (\S+) ", text, re.MULTILINE)
    return Security(found.group(1) if found else "", _CRYPTO.search(text) is not None)


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
