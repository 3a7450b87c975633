"""The softphone's own process: pyVoIP at work, told what to do by JSON lines on standard input.

pyVoIP's threads are not daemons, wait without deadlines and hold locks while they wait, so it lives
alone here and is ended from outside. What it does wrong and a trial needs right is mended in ``_mend``;
it is used as a µ-law phone that registers and is called, one call at a time.

In:   first the ``Account`` as one object, then {"do": "answer" | "reject" | "hang_up" | "stop"}
Out:  {"event": "registered" | "refused" | "ringing" | "answered" | "cancelled" | "ended" | "failed", …}
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pyVoIP.VoIP  # why: first, because its SIP module cannot be imported on its own (a circle)
from pyVoIP.VoIP import CallState, VoIPPhone
from pyVoIP.VoIP.status import PhoneStatus

from gateway.trial.audio import Wave, pcm_of, read_wav, samples, write_wav

_POLL_S = 0.02
_REGISTER_WITHIN_S = 25.0
_STOP_WITHIN_S = 20.0
_GAP = bytes(160)
_QUIET = b"\x80" * 160

# why: pyVoIP's objects have no types; this module is the only one that touches them
_Call = Any
_Phone = Any


def _emit(event: str, **more: object) -> None:
    with _emit_lock:
        sys.stdout.write(json.dumps({"event": event, **more}) + "\n")
        sys.stdout.flush()


_emit_lock = threading.Lock()


def to_eight_bits(pcm: bytes) -> bytes:
    """16-bit PCM as the unsigned 8-bit samples that pyVoIP takes."""
    return bytes([(value >> 8) + 128 for value in samples(pcm)])


def from_eight_bits(octets: bytes) -> bytes:
    """pyVoIP's unsigned 8-bit samples as 16-bit PCM. Lost packets lie there as zeros: they are silence."""
    return pcm_of([(octet - 128) << 8 for octet in octets.replace(_GAP, _QUIET)])


class Desk:
    """One phone and the person at it: answers, speaks, listens, hangs up as told."""

    def __init__(self, account: dict[str, Any]) -> None:
        self._account = account
        self._told = threading.Condition()
        self._orders: list[str] = []
        self._phone: _Phone = VoIPPhone(
            account["server"],
            account["server_port"],
            account["user"],
            account["password"],
            myIP=account["host"],
            callCallback=self._rung,
            sipPort=account["port"],
            rtpPortLow=account["rtp_ports"][0],
            rtpPortHigh=account["rtp_ports"][1],
        )
        _mend(self._phone)

    def register(self) -> bool:
        """Registers; True once the switch has said 200."""
        self._phone.start()
        ends = time.monotonic() + _REGISTER_WITHIN_S
        while time.monotonic() < ends:
            status = self._phone.get_status()
            if status in (PhoneStatus.REGISTERED, PhoneStatus.FAILED):
                return bool(status == PhoneStatus.REGISTERED)
            time.sleep(_POLL_S)
        return False

    def tell(self, order: str) -> None:
        with self._told:
            self._orders.append(order)
            self._told.notify_all()

    def stop(self) -> None:
        self._phone.stop()

    def _next_order(self, wait_s: float) -> str:
        with self._told:
            self._told.wait_for(lambda: bool(self._orders), wait_s)
            return self._orders.pop(0) if self._orders else ""

    def _rung(self, call: _Call) -> None:
        """One call, from ringing to its end, in pyVoIP's thread for it (which must last as long)."""
        sender = call.request.headers["From"]
        _emit("ringing", number=sender["number"] or "", display=sender["caller"].strip().strip('"'))
        if self._account["answer_by_itself"]:
            self.tell("answer")
        while call.state == CallState.RINGING:
            order = self._next_order(_POLL_S)
            if order == "answer" and call.state == CallState.RINGING:
                call.answer()
                self._talk(call)
                return
            if order == "reject" and call.state == CallState.RINGING:
                call.deny()
                _emit("ended", by_us=True, heard="", heard_ms=0)
                return
        _emit("cancelled")

    def _talk(self, call: _Call) -> None:
        _emit("answered")
        if self._account["say"]:
            call.write_audio(to_eight_bits(read_wav(Path(self._account["say"])).pcm))
        heard, by_us = bytearray(), False
        while call.state == CallState.ANSWERED:
            if self._next_order(_POLL_S) == "hang_up" and call.state == CallState.ANSWERED:
                by_us = True
                call.hangup()
            heard += _arrived(call)
        pcm = from_eight_bits(bytes(heard + _arrived(call)))
        write_wav(Path(self._account["heard"]), Wave(pcm))
        _emit("ended", by_us=by_us, heard=self._account["heard"], heard_ms=len(pcm) // 16)


def _arrived(call: _Call) -> bytes:
    """What was received since the last time; ``read_audio`` would pad it with silence of its own."""
    if not call.RTPClients:
        return b""
    inbox = call.RTPClients[0].pmin
    with inbox.bufferLock:
        return bytes(inbox.buffer.read())


def _mend(phone: _Phone) -> None:
    """pyVoIP 1.6.8 answers CANCEL but leaves the INVITE open for ever; and its A-law is noise."""
    pyVoIP.RTPCompatibleCodecs = [pyVoIP.RTP.PayloadType.PCMU, pyVoIP.RTP.PayloadType.EVENT]
    client = phone.sip
    parse_message = client.parse_message

    def parse(message: Any) -> None:
        if message.type != pyVoIP.SIP.SIPMessageType.MESSAGE or message.method != "CANCEL":
            parse_message(message)
            return
        server = (phone.server, phone.port)
        client.out.sendto(client.gen_ok(message).encode(), server)
        call = phone.calls.get(message.headers["Call-ID"])
        if call is not None and call.state == CallState.RINGING:
            terminated = client.gen_busy(call.request).replace("486 Busy Here", "487 Request Terminated")
            client.out.sendto(terminated.encode(), server)
            call.state = CallState.ENDED

    client.parse_message = parse


def _watch_over(seconds: float) -> None:
    """Ends this process when its time is over, whatever its threads wait for."""
    timer = threading.Timer(seconds, lambda: os._exit(3))
    timer.daemon = True
    timer.start()


def main() -> None:
    account = json.loads(sys.stdin.readline())
    _watch_over(account["lifetime_s"])
    try:
        desk = Desk(account)
        registered = desk.register()
    except Exception as error:  # noqa: BLE001  # why: pyVoIP raises anything; the parent is told
        _emit("failed", why=f"{type(error).__name__}: {error}")
        os._exit(2)
    _emit("registered" if registered else "refused")
    if not registered:
        os._exit(1)
    for line in sys.stdin:
        order = json.loads(line)["do"]
        if order == "stop":
            break
        desk.tell(order)
    _watch_over(_STOP_WITHIN_S)
    desk.stop()
    os._exit(0)


if __name__ == "__main__":
    main()
