"""``patchbay prompts``: sounds of one's own that calls can play, kept where the switch finds them."""

from __future__ import annotations

import io
import re
import sys
import wave
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Final

import typer

from gateway.bootstrap import FIRST_TENANT
from gateway.config import current_settings
from gateway.prompts import kept_prompt
from telephony.errors import InvalidInput, NotFound
from voice_agents.core.wav import Mono, from_wav, to_wav

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
RATE_HZ: Final = 8_000
LONGEST_S: Final = 600
_TENANT = re.compile(r"[A-Za-z0-9_]{1,64}")
_MEND: Final = "; make one with `sox IN -b 16 -c 1 -r 8000 OUT.wav`"
OfTenant = Annotated[str, typer.Option("--tenant", help="Whose prompt it is.")]
Resample = Callable[[bytes, int, int], bytes]


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="Small letters, digits, - and _.")],
    file: Annotated[Path, typer.Argument(help="A 16-bit PCM WAV.", exists=True, dir_okay=False)],
    tenant: OfTenant = FIRST_TENANT,
) -> None:
    """Keep a sound under a name, in the form that the switch plays. An old one of that name is replaced."""
    from gateway.wiring_speech import resampled

    target = prompt_path(tenant, name)
    sound = as_played(file.read_bytes(), resampled)
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_suffix(".part")
    part.write_bytes(to_wav(sound))
    part.replace(target)
    print(f'{name}: {sound.duration_ms / 1000:.1f} s; calls name it as {{"prompt": "{name}"}}')


@app.command("list")
def list_prompts(tenant: OfTenant = FIRST_TENANT) -> None:
    """Every prompt of a tenant, by name."""
    for path in sorted(prompt_path(tenant, "any").parent.glob("*.wav")):
        if kept_prompt(path.parent, tenant, path.stem) is not None:
            print(f"{path.stem:<32} {_length(path)}")


@app.command()
def remove(name: str, tenant: OfTenant = FIRST_TENANT) -> None:
    """Forget a prompt; a call that plays it goes on to its end."""
    target = prompt_path(tenant, name)
    if not target.exists():
        raise NotFound(f"tenant {tenant} has no prompt {name}")
    target.unlink()
    print(f"{name} is removed")


def prompt_path(tenant: str, name: str) -> Path:
    """Where the prompt is kept. Raises InvalidInput for what is no tenant's id or no prompt's name."""
    if _TENANT.fullmatch(tenant) is None:
        raise InvalidInput(f"{tenant} is not the id of a tenant", field="tenant")
    path = kept_prompt(current_settings().sounds_dir, tenant, name)
    if path is None:
        raise InvalidInput(
            f"{name} is not a name for a prompt: small letters, digits, - and _, at most 64", field="name"
        )
    return path


def as_played(file: bytes, resample: Resample) -> Mono:
    """A WAV file's sound as the switch plays it: 16-bit, one channel, 8 kHz. Raises InvalidInput."""
    try:
        with wave.open(io.BytesIO(file), "rb") as source:
            width, channels, rate = source.getsampwidth(), source.getnchannels(), source.getframerate()
            frames = source.getnframes()
            if width != 2:
                raise InvalidInput(f"{8 * width}-bit samples, 16 expected{_MEND}", field="file")
            if not 0 < frames <= LONGEST_S * rate:
                raise InvalidInput(f"the sound must be longer than 0 and at most {LONGEST_S} s", field="file")
            pcm = source.readframes(frames)
    except (wave.Error, EOFError) as error:
        raise InvalidInput(f"not a PCM WAV file ({error}){_MEND}", field="file") from error
    return Mono(resample(mixed(pcm, channels), rate, RATE_HZ), RATE_HZ)


def mixed(pcm: bytes, channels: int) -> bytes:
    """All channels as one: their mean, so that nothing clips.

    >>> mixed(b"\\x02\\x00\\x04\\x00", 2)
    b'\\x03\\x00'
    """
    if channels == 1:
        return pcm
    values = array("h", pcm[: len(pcm) // (2 * channels) * 2 * channels])
    if sys.byteorder == "big":
        values.byteswap()
    sums = [
        sum(frame) // channels for frame in zip(*(values[n::channels] for n in range(channels)), strict=True)
    ]
    one = array("h", sums)
    if sys.byteorder == "big":
        one.byteswap()
    return one.tobytes()


def _length(path: Path) -> str:
    try:
        sound = from_wav(path.read_bytes())
    except (ValueError, OSError) as error:
        return f"cannot be played: {error}"
    wrong = "" if sound.rate_hz == RATE_HZ else f"  cannot be played: {sound.rate_hz} Hz, not {RATE_HZ}"
    return f"{sound.duration_ms / 1000:.1f} s{wrong}"
