"""The offline engine's process: refusals, failures, and what is left behind."""

from __future__ import annotations

import asyncio
import os
import select
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from telephony.errors import InvalidInput, SpeechUnavailable
from voice_agents.core.grammar import Grammar, Rule
from voice_agents.ports import Heard
from voice_agents.providers.pocketsphinx_stt import PocketsphinxSettings, PocketsphinxSpeech

pytestmark = pytest.mark.contract

YES = Grammar("yes", (Rule("yes", "yes"),))
SOUND = bytes(16000)
READY = "echo '{\"ready\": true}'; "


def shell(script: str, **settings: object) -> PocketsphinxSpeech:
    """An engine whose worker is this script."""
    command = ("/bin/sh", "-c", script)
    return PocketsphinxSpeech(PocketsphinxSettings(command=command, **settings))  # type: ignore[arg-type]


async def hear(engine: PocketsphinxSpeech, grammar: Grammar = YES) -> Heard:
    turn = engine.listen("en-US", 8000, grammar, lambda heard: None)
    turn.feed(SOUND)
    return await turn.finish()


def runs(pid: int) -> bool:
    """Whether the process lives on; one that was killed may take a moment to die."""
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return False
    try:
        return not select.select([process], [], [], 10)[0]
    finally:
        os.close(process)


def is_there(pid: Path) -> bool:
    return Path(f"/proc/{pid.read_text().strip()}").exists()


@pytest_asyncio.fixture
async def real() -> AsyncIterator[PocketsphinxSpeech]:
    engine = PocketsphinxSpeech(PocketsphinxSettings(deadline_s=60.0, start_s=60.0))
    yield engine
    await engine.close()


@pytest.mark.parametrize(
    ("language", "rate_hz", "grammar", "field"),
    [("de-DE", 8000, YES, "language"), ("en-US", 11025, YES, "rate_hz"), ("en-US", 8000, None, "grammar")],
)
async def test_what_is_refused_names_the_field(
    real: PocketsphinxSpeech, language: str, rate_hz: int, grammar: Grammar | None, field: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        real.listen(language, rate_hz, grammar, lambda heard: None)
    assert refused.value.field == field


async def test_nothing_and_what_was_cancelled_is_heard_as_nothing(real: PocketsphinxSpeech) -> None:
    turn = real.listen("en-US", 8000, YES, lambda heard: None)
    assert await turn.finish() == Heard("", 0.0)
    turn.feed(SOUND)
    turn.cancel()
    turn.feed(SOUND)
    assert await turn.finish() == Heard("", 0.0)


async def test_words_that_the_engine_does_not_know_cost_only_their_rule(real: PocketsphinxSpeech) -> None:
    both = Grammar("both", (Rule("x", "xyzzyxyzzy"), Rule("yes", "yes")))
    assert (await hear(real, both)).text == ""
    with pytest.raises(InvalidInput, match="engine"):
        await hear(real, Grammar("none", (Rule("x", "xyzzyxyzzy"),)))
    assert (await hear(real)).text == ""


async def test_more_grammars_than_are_kept(real: PocketsphinxSpeech) -> None:
    words = ["alpha", "bravo", "charlie", "delta", "echo", "foxtrot", "golf", "hotel", "india", "juliet"]
    for first in words:
        for second in words[:8]:
            await hear(real, Grammar("g", (Rule("x", f"{first} {second}"),)))
    assert (await hear(real)).text == ""


@pytest.mark.parametrize(
    "script",
    ["exit 1", "echo nonsense", READY + "exit 0", READY + "cat > /dev/null", READY + "read a; echo nonsense",
     READY + "read a; echo '[]'", READY + "read a; echo '{}'", READY + "read a; printf '{\"unknown\": []'"],
)  # fmt: skip
async def test_a_broken_engine_is_said_so_and_another_is_begun(script: str) -> None:
    engine = shell(script, deadline_s=1.0, start_s=1.0)
    for _ in range(2):
        with pytest.raises(SpeechUnavailable):
            await hear(engine)
    await engine.close()


async def test_a_missing_engine_is_said_so(tmp_path: Path) -> None:
    engine = PocketsphinxSpeech(PocketsphinxSettings(command=(str(tmp_path / "absent"),)))
    with pytest.raises(SpeechUnavailable):
        await hear(engine)


async def test_a_hanging_engine_is_ended_with_its_children(tmp_path: Path) -> None:
    child = tmp_path / "child"
    engine = shell(f"{READY} sleep 60 & echo $! > {child}; wait", deadline_s=0.5, start_s=20.0)
    began = time.monotonic()
    with pytest.raises(SpeechUnavailable, match="in time"):
        await hear(engine)
    assert time.monotonic() - began < 15
    assert not runs(int(child.read_text()))


async def test_who_waits_behind_a_slow_turn_waits_no_longer_than_the_deadline() -> None:
    engine = shell(READY + "cat > /dev/null", deadline_s=0.5, start_s=20.0, waiting=2)
    results = await asyncio.gather(*(hear(engine) for _ in range(5)), return_exceptions=True)
    assert all(isinstance(result, SpeechUnavailable) for result in results)
    assert sum("too many" in str(result) for result in results) == 3
    await engine.close()


async def test_closing_ends_the_process_and_refuses_what_follows(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    engine = shell(f"echo $$ > {pid}; {READY} read a; echo '{{\"unknown\": []}}'; cat > /dev/null")
    await engine.warm()
    assert is_there(pid)
    await engine.close()
    assert not runs(int(pid.read_text()))
    with pytest.raises(SpeechUnavailable, match="closed"):
        await hear(engine)


async def test_closing_ends_who_waits(tmp_path: Path) -> None:
    asked = tmp_path / "asked"
    os.mkfifo(asked)
    engine = shell(f"{READY} read a; echo yes > {asked}; cat > /dev/null", deadline_s=30.0)
    waiting = asyncio.create_task(hear(engine))
    assert await asyncio.to_thread(asked.read_text) == "yes\n"
    await engine.close()
    with pytest.raises(SpeechUnavailable):
        await waiting


async def test_the_engine_needs_no_sound_card() -> None:
    """Neither the worker's own import nor its model wants anything but the package."""
    script = (
        "import sys; sys.modules['sounddevice'] = None; import pocketsphinx, os; "
        "print(os.path.exists(pocketsphinx.get_model_path('en-us/en-us/means')))"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-I", "-c", script, stdout=asyncio.subprocess.PIPE, env=dict(os.environ)
    )
    out, _ = await process.communicate()
    assert out == b"True\n"
