"""Speech to text by pocketsphinx, offline and in English, for what a grammar allows.

Without a grammar its small model is wrong on telephone speech, so a grammar must be given; in one it takes
a tenth of real time on one core or less, and says nothing where no sentence fits. Each worker is a process
(see ``pocketsphinx_worker``) that is loaded once; there are a few of them, and whoever finds them all taken
waits until one is free, or the deadline has passed.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from telephony.errors import InvalidInput, SpeechUnavailable
from voice_agents.core.grammar import Grammar
from voice_agents.core.sound import Resampler
from voice_agents.ports import Heard, HearingLimits
from voice_agents.providers import pocketsphinx_worker

T = TypeVar("T")
_log = logging.getLogger(__name__)
_RATE = 16000
_LANGUAGES = frozenset({"en", "en-US", "en-GB"})
_LIMITS = HearingLimits(
    _LANGUAGES, frozenset({8000, 16000, 24000}), 20_000, grammars=True, needs_grammar=True
)
_MOST_LINE = 1_000_000


def _own_worker() -> tuple[str, ...]:
    return (sys.executable, "-I", pocketsphinx_worker.__file__)


@dataclass(frozen=True, slots=True)
class PocketsphinxSettings:
    """``workers`` processes of about 70 MB at most, started when they are needed. ``waiting`` turns may wait
    for them. A sentence counts if any row of phones fits better by at most ``surplus`` (see the worker)."""

    workers: int = 1
    waiting: int = 32
    deadline_s: float = 4.0
    start_s: float = 15.0
    surplus: float = 6.0
    command: tuple[str, ...] = field(default_factory=_own_worker)


class PocketsphinxSpeech:
    """``SpeechToText`` by pocketsphinx."""

    def __init__(self, settings: PocketsphinxSettings | None = None) -> None:
        self._settings = PocketsphinxSettings() if settings is None else settings
        self._free: list[_Worker] = []
        self._all: set[_Worker] = set()
        self._turns = asyncio.Semaphore(self._settings.workers)
        self._waiting = 0
        self._closed = False

    def limits(self) -> HearingLimits:
        return _LIMITS

    def listen(
        self, language: str, rate_hz: int, grammar: Grammar | None, partial: Callable[[Heard], None]
    ) -> _Turn:
        if language not in _LANGUAGES:
            raise InvalidInput("unknown language", field="language", value=language[:20], expected="en")
        if rate_hz not in _LIMITS.rates_hz:
            raise InvalidInput("unsupported sampling rate", field="rate_hz", value=rate_hz)
        if grammar is None:
            raise InvalidInput("this engine must be told what may be said", field="grammar")
        if self._closed:
            raise SpeechUnavailable("the speech engine is closed")
        return _Turn(self, rate_hz, grammar)

    async def warm(self) -> None:
        """Load one worker now, so that the first caller need not wait for it."""
        await self._with_worker(lambda worker: worker.ask({"op": "know", "words": []}, b""))

    async def hear(self, grammar: Grammar, pcm: bytes) -> Heard:
        """What 16 kHz sound says."""
        if self._waiting >= self._settings.waiting:
            raise SpeechUnavailable("too many wait for the speech engine")
        self._waiting += 1
        try:
            return await self._with_worker(lambda worker: self._hear(worker, grammar, pcm))
        finally:
            self._waiting -= 1

    async def _hear(self, worker: _Worker, grammar: Grammar, pcm: bytes) -> Heard:
        if strange := [word for word in grammar.words if word not in worker.known]:
            told = await worker.ask({"op": "know", "words": strange}, b"")
            unknown = set(told["unknown"])
            worker.known.update((word, word not in unknown) for word in strange)
            if unknown:
                _log.warning(
                    "the speech engine does not know %d words of the grammar %s", len(unknown), grammar.name
                )
        jsgf = grammar.jsgf(lambda word: worker.known[word])
        name = hashlib.sha256(jsgf.encode()).hexdigest()
        asked = {"op": "hear", "grammar": name, "jsgf": jsgf, "octets": len(pcm)}
        told = await worker.ask(asked, pcm)
        text, surplus = str(told["text"]), float(told["surplus"])
        most = self._settings.surplus
        if surplus > most or grammar.meaning(text) is None:
            return Heard("", 0.0)
        return Heard(text, round(max(0.0, min(1.0, 0.5 + (most - surplus) / 40)), 3))

    async def _with_worker(self, work: Callable[[_Worker], Awaitable[T]]) -> T:
        """Do this with a free worker, within the deadline. One that failed is not used again."""
        worker: _Worker | None = None
        try:
            async with asyncio.timeout(self._settings.deadline_s) as deadline, self._turns:
                if self._closed:
                    raise SpeechUnavailable("the speech engine is closed")
                if self._free:
                    worker = self._free.pop()
                else:
                    loop = asyncio.get_running_loop()
                    deadline.reschedule(loop.time() + self._settings.start_s)
                    worker = await self._begun()
                    deadline.reschedule(loop.time() + self._settings.deadline_s)
                found = await work(worker)
                self._free.append(worker)
                worker = None
                return found
        except TimeoutError:
            raise SpeechUnavailable("speech was not understood in time") from None
        except (OSError, EOFError, ValueError, KeyError, TypeError) as error:  # why: a worker's every fault
            raise SpeechUnavailable("the speech engine failed") from error
        finally:
            if worker is not None:
                self._all.discard(worker)
                await worker.end()

    async def _begun(self) -> _Worker:
        worker = await _Worker.begin(self._settings.command)
        self._all.add(worker)
        try:
            await worker.ready()
        except BaseException:  # why: cancelled too, the process would live on
            self._all.discard(worker)
            await worker.end()
            raise
        return worker

    async def close(self) -> None:
        self._closed = True
        for worker in tuple(self._all):
            await worker.end()
        self._all.clear()
        self._free.clear()


class _Turn:
    """``Recogniser``: gathers the turn, since the engine is best given it whole."""

    def __init__(self, engine: PocketsphinxSpeech, rate_hz: int, grammar: Grammar) -> None:
        self._engine, self._grammar = engine, grammar
        self._resampler = Resampler(rate_hz, _RATE)
        self._sound = bytearray()
        self._room = _LIMITS.most_ms * _RATE // 1000 * 2
        self._cancelled = False

    def feed(self, pcm: bytes) -> None:
        if len(self._sound) < self._room and not self._cancelled:
            self._sound += self._resampler.feed(pcm)

    async def finish(self) -> Heard:
        if self._cancelled or not self._sound:
            return Heard("", 0.0)
        return await self._engine.hear(self._grammar, bytes(self._sound))

    def cancel(self) -> None:
        self._cancelled = True
        self._sound.clear()


class _Worker:
    """One process. Asked one thing at a time. ``known``: the words that it was asked for, and whether it has
    them: another worker has to be asked too, to learn how they sound by telephone."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.known: dict[str, bool] = {}

    @classmethod
    async def begin(cls, command: Sequence[str]) -> _Worker:
        pipe, nothing = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
        process = await asyncio.create_subprocess_exec(
            *command, stdin=pipe, stdout=pipe, stderr=nothing, start_new_session=True, limit=_MOST_LINE
        )
        return cls(process)

    async def ready(self) -> None:
        """Raises ``EOFError`` if it ends before it is loaded."""
        await self._line()

    async def ask(self, asked: dict[str, Any], sound: bytes) -> dict[str, Any]:
        writer = self._process.stdin
        if writer is None:
            raise EOFError
        writer.write(json.dumps(asked).encode() + b"\n" + sound)
        await writer.drain()
        return await self._line()

    async def _line(self) -> dict[str, Any]:
        reader = self._process.stdout
        line = b"" if reader is None else await reader.readline()
        if not line.endswith(b"\n"):
            raise EOFError
        told = json.loads(line)
        if not isinstance(told, dict):
            raise TypeError
        return told

    async def end(self) -> None:
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            await self._process.wait()
