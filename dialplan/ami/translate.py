"""AMI messages to what was heard about a channel. Pure; one function a kind of event.

Header names as in Asterisk 22 (docs.asterisk.org, "Asterisk 22 AMI Events"). TechCause came with 22.7:
the SIP final behind a hang-up, absent on normal ends.
"""

from __future__ import annotations

from collections.abc import Callable

from dialplan.ami.message import Message
from dialplan.core.heard import Heard, What
from telephony.ids import CHANNEL_ID, ChannelId


def translate(message: Message) -> Heard | None:
    """What this event says about a channel, or None where it says nothing that we need."""
    read = _READERS.get(message.name)
    return None if read is None else read(message)


def _channel(message: Message, header: str) -> ChannelId | None:
    text = message.get(header)
    return ChannelId(text) if CHANNEL_ID.fullmatch(text) else None


def _number(text: str) -> int | None:
    return int(text) if text.isdecimal() and len(text) < 6 else None


def _dial_begin(message: Message) -> Heard | None:
    channel = _channel(message, "DestUniqueid")
    return None if channel is None else Heard(What.DIALED, channel, by=_channel(message, "Uniqueid"))


def _dial_state(message: Message) -> Heard | None:
    if message.get("DialStatus") not in ("RINGING", "PROGRESS"):
        return None
    channel = _channel(message, "DestUniqueid")
    return None if channel is None else Heard(What.RANG, channel)


def _new_state(message: Message) -> Heard | None:
    if message.get("ChannelState") != "6":
        return None
    channel = _channel(message, "Uniqueid")
    return None if channel is None else Heard(What.ANSWERED, channel)


def _hangup_request(message: Message) -> Heard | None:
    return _end(message, What.END_REQUESTED)


def _hangup(message: Message) -> Heard | None:
    return _end(message, What.HUNG_UP)


def _end(message: Message, what: What) -> Heard | None:
    channel = _channel(message, "Uniqueid")
    if channel is None:
        return None
    cause, sip = _number(message.get("Cause")), _sip_final(message.get("TechCause"))
    return Heard(what, channel, cause=cause, sip=sip)


def _sip_final(text: str) -> int | None:
    """TechCause is the final's code, for some channel types with the technology's name around it."""
    digits = "".join(c if c.isdecimal() else " " for c in text).split()
    code = _number(digits[0]) if digits else None
    return code if code is not None and 300 <= code <= 699 else None


def _originate_response(message: Message) -> Heard | None:
    if message.get("Response") != "Failure":
        return None
    channel = _channel(message, "Uniqueid")
    reason = message.get("Reason")
    if channel is None:
        return None
    return Heard(What.ORIGINATE_FAILED, channel, detail=f"originate_failed_{_number(reason) or 0}")


def _tape(turn: str) -> Callable[[Message], Heard | None]:
    def read(message: Message) -> Heard | None:
        channel = _channel(message, "Uniqueid")
        return None if channel is None else Heard(What.TAPE, channel, detail=turn)

    return read


def _tape_mute(message: Message) -> Heard | None:
    turn = "paused" if message.get("State") == "1" else "resumed"
    channel = _channel(message, "Uniqueid")
    return None if channel is None else Heard(What.TAPE, channel, detail=turn)


_READERS: dict[str, Callable[[Message], Heard | None]] = {
    "DialBegin": _dial_begin,
    "DialState": _dial_state,
    "Newstate": _new_state,
    "HangupRequest": _hangup_request,
    "Hangup": _hangup,
    "OriginateResponse": _originate_response,
    "MixMonitorStart": _tape("started"),
    "MixMonitorStop": _tape("stopped"),
    "MixMonitorMute": _tape_mute,
}
