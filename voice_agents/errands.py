"""What a session has others do: each a task of its own, with a deadline, whose outcome becomes a fact."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from telephony.errors import PatchbayError, StorageUnavailable
from voice_agents.agent_path import Spawn
from voice_agents.core import facts, orders, talk
from voice_agents.core.agent import AgentSpec
from voice_agents.core.prompts import leg_sound, rate_for, wait_tone
from voice_agents.core.record import SessionRecord
from voice_agents.core.text import nearest_voice
from voice_agents.sound_path import SoundPath
from voice_agents.surroundings import Surroundings

_log = structlog.get_logger("voice_agents.errands")
TOOL_S = 10.0
API_PROMPT = "api"
"""Prompts by this name may be interrupted as the agent may."""
_HANG_UP_S = 8.0
_DIGITS_S = 60.0
_SPEAK_S = 15.0
_SAVE_AGAIN_S = 1.0
_SAVE_TRIES = 60


class Errands:
    """One session's. ``record`` gives what is known at the moment."""

    def __init__(
        self,
        call_id: str,
        around: Surroundings,
        sound: SoundPath,
        post: Callable[[facts.Fact], None],
        spawn: Spawn,
        record: Callable[[], SessionRecord],
    ) -> None:
        self._call_id = call_id
        self._around, self._sound, self._post, self._spawn = around, sound, post, spawn
        self._record = record
        self.hanging_up: asyncio.Task[None] | None = None
        """The order to end the call, while that is being carried out."""
        self._saving: asyncio.Task[None] | None = None
        self._unsaved = False
        self._comfort = False
        self._tone = b""

    # ------------------------------------------------------------ the call

    def hang_up(self, why: str) -> None:
        self.hanging_up = self._spawn(self._hang_up(why))

    async def _hang_up(self, why: str) -> None:
        try:
            async with asyncio.timeout(_HANG_UP_S):
                await self._around.control.hang_up(self._call_id, why)
        except Exception:  # noqa: BLE001  # why: whatever failed, the call must end: its sound is taken away
            _log.exception("agent.hang_up_failed", call_id=self._call_id)
            self._post(facts.HangUpFailed())

    def transfer(self, order: orders.TransferCall) -> None:
        self._spawn(self._transfer(order))

    async def _transfer(self, order: orders.TransferCall) -> None:
        outcome = "timeout"
        try:
            async with asyncio.timeout(order.ring_timeout_s + self._around.patience.transfer_s):
                to, ring_s = order.to, order.ring_timeout_s
                outcome = await self._around.control.transfer(self._call_id, to, ring_s)
        except TimeoutError:
            pass
        except Exception:  # noqa: BLE001  # why: the agent waits for an outcome, whatever became of it
            _log.exception("agent.transfer_failed", call_id=self._call_id)
            outcome = "declined"
        self._post(facts.TransferDone(outcome))

    def send_digits(self, digits: str) -> None:
        self._spawn(self._send_digits(digits))

    async def _send_digits(self, digits: str) -> None:
        """The agent is silent meanwhile, so that its voice is not taken for a tone."""
        sound, ok = self._sound, False
        quiet = sound.leg is not None and not sound.paused
        if quiet:
            sound.pause()
        try:
            async with asyncio.timeout(_DIGITS_S):
                await self._around.control.send_digits(self._call_id, digits)
            ok = True
        except TimeoutError:
            _log.warning("agent.digits_late", call_id=self._call_id)
        except Exception:  # noqa: BLE001  # why: the agent waits for an outcome, whatever became of it
            _log.exception("agent.digits_failed", call_id=self._call_id)
        finally:
            if quiet:
                sound.resume()
        if ok:
            sound.ledger.digit(digits, sound.at_ms, by="agent")
        self._post(facts.DigitsDone(digits, ok))

    # ------------------------------------------------------------ tools

    def run_tool(self, spec: AgentSpec, tool: talk.CallTool) -> None:
        self._sound.ledger.tool(tool.id, tool.name, self._sound.at_ms)
        self._spawn(self._run_tool(spec, tool))

    async def _run_tool(self, spec: AgentSpec, tool: talk.CallTool) -> None:
        result = talk.ToolResult(tool.id, False, error="timeout")
        try:
            async with asyncio.timeout(TOOL_S + 1.0):
                result = await self._around.tools.call(spec, self._record(), tool, TOOL_S)
        except TimeoutError:
            pass
        except Exception:  # noqa: BLE001  # why: the agent waits for an answer, whatever became of it
            _log.exception("agent.tool_failed", call_id=self._call_id)
            result = talk.ToolResult(tool.id, False, error="failed")
        self._sound.ledger.tool_done(tool.id, result.ok, result.error, self._sound.at_ms)
        self._post(facts.ToolDone(result))

    # ------------------------------------------------------------ our own voice

    def say(self, spec: AgentSpec, name: str, text: str, done: Callable[[], None] | None = None) -> None:
        """Speak a prompt behind what is queued; ``PromptDone`` follows, ``done`` is called with it."""
        self._spawn(self._say(spec, name, text, done))

    async def _say(self, spec: AgentSpec, name: str, text: str, done: Callable[[], None] | None) -> None:
        sound, began_ms = self._sound, self._sound.at_ms + self._sound.queued_ms

        def over(heard: bool) -> None:
            if octets:
                sound.ledger.prompt(text, began_ms, max(began_ms, sound.at_ms), heard)
            if done is not None:
                done()
            self._post(facts.PromptDone(name))

        octets = await self._spoken(spec, text)
        began_ms = sound.at_ms + sound.queued_ms
        if octets:
            sound.prompt(octets, over)
            if name == API_PROMPT and sound.gates.plays:
                sound.began()
        else:
            over(False)

    async def _spoken(self, spec: AgentSpec, text: str) -> bytes:
        """The text as sound for the leg; nothing where it cannot be spoken."""
        voice, codec = self._around.voice, self._sound.codec
        if voice is None:
            return b""
        try:
            async with asyncio.timeout(_SPEAK_S):
                limits = voice.limits()
                nearest = (nearest_voice(tag, limits.voices) for tag in (spec.voice, spec.language))
                tag = next((voice for voice in nearest if voice), spec.language)
                rate_hz = rate_for(codec, limits.rates_hz)
                speech = await voice.speak(text, voice=tag, rate_hz=rate_hz)
                wav = await self._around.read(speech.path)
                return leg_sound(wav, codec)
        except (PatchbayError, TimeoutError, ValueError, OSError) as error:
            _log.warning("agent.prompt_unspoken", call_id=self._call_id, why=type(error).__name__)
            return b""

    def comfort(self, on: bool) -> None:
        """A soft tone now and then, behind what is queued, until it is ended."""
        if on is self._comfort:
            return
        self._comfort = on
        if on:
            self._tone = self._tone or wait_tone(self._sound.codec)
            self._sound.prompt(b"", self._more_comfort)
        else:
            self._sound.drop_tone()

    def _more_comfort(self, heard: bool) -> None:
        if self._comfort and heard:
            self._sound.tone(self._tone, self._more_comfort)

    # ------------------------------------------------------------ what is kept

    def save(self) -> None:
        """Have the store keep what is known; what changes meanwhile is kept after it."""
        self._unsaved = True
        if self._saving is None:
            self._saving = self._spawn(self._save())

    async def _save(self) -> None:
        tries = 0
        while self._unsaved and tries < _SAVE_TRIES:
            self._unsaved = False
            try:
                await self._around.store.save(self._record())
            except StorageUnavailable:
                self._unsaved = True
                tries += 1
                await asyncio.sleep(_SAVE_AGAIN_S)
            except Exception:  # noqa: BLE001  # why: edge of a task; the session goes on, kept or not
                _log.exception("agent.save_broken", call_id=self._call_id)
                self._around.tally.broken += 1
        if self._unsaved:
            _log.error("agent.not_saved", call_id=self._call_id)
        self._saving = None
