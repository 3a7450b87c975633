"""A softphone for trials: pyVoIP in a process of its own, seen as one small asynchronous object.

async with await Softphone.start(account, folder) as alice:
    await alice.waits_for("ringing"); await alice.answer(); …
    ended = await alice.waits_for("ended"); pcm = alice.heard()
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from gateway.trial.audio import Wave, read_wav, write_wav
from gateway.trial.watch import WITHIN_S, NotInTime, Watch
from telephony.errors import Unavailable

_CHECKOUT = Path(__file__).resolve().parents[2]


class SoftphoneFailed(Unavailable):
    """The softphone did not register, or its process ended; the message says which."""


@dataclass(frozen=True, slots=True)
class SoftphoneAccount:
    """Who registers where. ``host`` and ``port`` are the phone's own; ``rtp_ports`` its media range."""

    user: str
    password: str
    server: tuple[str, int]
    host: str
    port: int
    rtp_ports: tuple[int, int]
    answer_by_itself: bool = True
    lifetime_s: float = 120.0

    def __repr__(self) -> str:
        return f"SoftphoneAccount({self.user!r} at {self.server[0]}:{self.server[1]})"


@dataclass(frozen=True, slots=True)
class SoftphoneEvent:
    """Something the phone told: see ``softphone_process`` for the names. ``number`` is who rings."""

    event: str
    number: str = ""
    display: str = ""
    by_us: bool = False
    heard_ms: int = 0
    why: str = ""


def read_event(line: bytes) -> SoftphoneEvent:
    """One line of the phone's process as a value. Raises ``ValueError`` if it is not one."""
    told = json.loads(line)
    if not isinstance(told, dict) or not isinstance(told.get("event"), str):
        raise ValueError("not an event")
    return SoftphoneEvent(
        event=told["event"],
        number=str(told.get("number", "")),
        display=str(told.get("display", "")),
        by_us=bool(told.get("by_us", False)),
        heard_ms=int(told.get("heard_ms", 0)),
        why=str(told.get("why", "")),
    )


class Softphone:
    """One registered phone. ``events`` holds all that it told, in order."""

    def __init__(self, process: asyncio.subprocess.Process, heard: Path) -> None:
        self._process, self._heard = process, heard
        self._watch = Watch()
        self.events: list[SoftphoneEvent] = []
        self._seen = 0
        self._reader = asyncio.get_running_loop().create_task(self._read(), name="softphone")

    @classmethod
    async def start(
        cls, account: SoftphoneAccount, folder: Path, *, say: bytes = b"", within_s: float = 30.0
    ) -> Softphone:
        """Starts and registers; ``say`` is 8 kHz PCM spoken after answering, ``folder`` keeps its files.

        Raises ``SoftphoneFailed``.
        """
        heard = folder / "heard.wav"
        said = await asyncio.to_thread(_prepare, folder, say)
        with (folder / "softphone.log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "gateway.trial.softphone_process",
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=log, cwd=_CHECKOUT,
            )  # fmt: skip
        phone = cls(process, heard)
        try:
            phone._tell(_first_line(account, said, str(heard)))
            await phone._registered(within_s)
        except BaseException:  # why: cancelled too, the process would live on
            await phone.kill()
            raise
        return phone

    async def _registered(self, within_s: float) -> None:
        answers = ("registered", "refused", "failed", "gone")
        told = await self._any(answers, within_s)
        if told.event != "registered":
            raise SoftphoneFailed(f"the softphone did not register: {told.event} {told.why}".strip())

    def _tell(self, order: dict[str, object]) -> None:
        if self._process.stdin is not None and self._process.returncode is None:
            self._process.stdin.write(json.dumps(order).encode() + b"\n")

    async def _read(self) -> None:
        if self._process.stdout is not None:
            async for line in self._process.stdout:
                with contextlib.suppress(ValueError):
                    self.events.append(read_event(line))
                self._watch.changed()
        self.events.append(SoftphoneEvent("gone", why=f"exit {await self._process.wait()}"))
        self._watch.changed()

    async def _any(self, names: tuple[str, ...], within_s: float) -> SoftphoneEvent:
        def found() -> SoftphoneEvent | None:
            return next((e for e in self.events[self._seen :] if e.event in names), None)

        await self._watch.until(
            lambda: found() is not None,
            within_s=within_s,
            what=f"the softphone's {' or '.join(names)}",
            seen=lambda: [event.event for event in self.events],
        )
        event = found()
        assert event is not None
        self._seen = self.events.index(event, self._seen) + 1
        return event

    async def waits_for(self, event: str, within_s: float = WITHIN_S) -> SoftphoneEvent:
        """The next event of that name. Raises ``NotInTime``, or ``SoftphoneFailed`` if the process ended."""
        told = await self._any((event, "gone"), within_s)
        if told.event != event:
            raise SoftphoneFailed(f"the softphone ended ({told.why}) before it was {event}")
        return told

    def answer(self) -> None:
        """Takes the call that rings (needed only where the account does not answer by itself)."""
        self._tell({"do": "answer"})

    def reject(self) -> None:
        """Says busy to the call that rings."""
        self._tell({"do": "reject"})

    def hang_up(self) -> None:
        """Ends the call."""
        self._tell({"do": "hang_up"})

    async def heard(self) -> bytes:
        """What the last ended call sounded like, as PCM at 8 kHz."""
        return (await asyncio.to_thread(read_wav, self._heard)).pcm

    async def stop(self, within_s: float = 25.0) -> None:
        """Unregisters and ends; is killed if that takes too long."""
        self._tell({"do": "stop"})
        with contextlib.suppress(NotInTime):
            await self._any(("gone",), within_s)
        await self.kill()

    async def kill(self) -> None:
        """Ends the process at once."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
        await self._reader

    async def __aenter__(self) -> Softphone:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()


def _prepare(folder: Path, say: bytes) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    if not say:
        return ""
    write_wav(folder / "say.wav", Wave(say))
    return str(folder / "say.wav")


def _first_line(account: SoftphoneAccount, say: str, heard: str) -> dict[str, object]:
    return {
        "server": account.server[0],
        "server_port": account.server[1],
        "user": account.user,
        "password": account.password,
        "host": account.host,
        "port": account.port,
        "rtp_ports": list(account.rtp_ports),
        "answer_by_itself": account.answer_by_itself,
        "lifetime_s": account.lifetime_s,
        "say": say,
        "heard": heard,
    }
