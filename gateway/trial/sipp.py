"""Running SIPp: one process for one scenario, started on a known port, watched, counted, stopped."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gateway.trial.sipp_scenario import Scenario, render
from telephony.errors import Unavailable

Address = tuple[str, int]
_POLL_S = 0.02
_LAST_WORDS_S = 10.0
"""How long a SIPp that was told to drop its calls may take to write its counts, before it is killed."""


class SippFailed(Unavailable):
    """SIPp did not start, or ended by an error of its own; the message has its last words."""


@dataclass(frozen=True, slots=True)
class SippRun:
    """One run. ``local`` is where it listens; with ``remote`` it calls, ``number`` dialled as ``caller``.

    ``calls`` is how many calls end the run (none: it runs until stopped), ``per_second`` how many start,
    ``at_once`` how many may be up. ``echo`` sends received audio back. ``rtp_ports`` is the media range.
    """

    scenario: Scenario
    local: Address
    rtp_ports: tuple[int, int]
    remote: Address | None = None
    number: str = ""
    caller: str = "anonymous"
    calls: int | None = None
    per_second: float = 10.0
    at_once: int = 1000
    echo: bool = False
    record_messages: bool = False


@dataclass(frozen=True, slots=True)
class SippResult:
    """What a run counted. ``exit_code`` 0: all calls went as the scenario says; 1: at least one did not."""

    exit_code: int
    created: int
    succeeded: int
    failed: int
    retransmissions: int
    errors: str
    """SIPp's own account of unexpected messages (its first 4,000 characters)."""

    @property
    def clean(self) -> bool:
        return self.failed == 0 and self.created == self.succeeded


def arguments(run: SippRun, files: SippFiles) -> list[str]:
    """SIPp's argument list for a run."""
    host, port = run.local
    args = [f"{run.remote[0]}:{run.remote[1]}"] if run.remote else []
    args += ["-sf", str(files.scenario), "-i", host, "-p", str(port), "-bind_local", "-nostdin"]
    args += ["-mi", host, "-min_rtp_port", str(run.rtp_ports[0]), "-max_rtp_port", str(run.rtp_ports[1])]
    args += [
        "-trace_stat",
        "-stf",
        str(files.stats),
        "-fd",
        "1",
        "-trace_err",
        "-error_file",
        str(files.errors),
    ]
    args += ["-key", "caller", run.caller, "-l", str(run.at_once)]
    if run.remote is not None:
        args += ["-s", run.number, *_rate(run.per_second)]
    if run.calls is not None:
        args += ["-m", str(run.calls)]
    if run.echo:
        args.append("-rtp_echo")
    if run.record_messages:
        args += ["-trace_msg", "-message_file", str(files.messages)]
    return args


def _rate(per_second: float) -> list[str]:
    """SIPp starts a whole number of calls in each period."""
    if per_second >= 1:
        return ["-r", str(round(per_second)), "-rp", "1000"]
    return ["-r", "1", "-rp", str(round(1000 / per_second))]


@dataclass(frozen=True, slots=True)
class SippFiles:
    """Where one run keeps its files."""

    folder: Path

    @property
    def scenario(self) -> Path:
        return self.folder / "scenario.xml"

    @property
    def stats(self) -> Path:
        return self.folder / "stats.csv"

    @property
    def errors(self) -> Path:
        return self.folder / "errors.log"

    @property
    def messages(self) -> Path:
        return self.folder / "messages.log"

    @property
    def screen(self) -> Path:
        return self.folder / "screen.log"


class Sipp:
    """One running SIPp. ``start`` it, then ``finished`` (it ends by itself) or ``stop``."""

    def __init__(self, process: asyncio.subprocess.Process, run: SippRun, files: SippFiles) -> None:
        self._process, self.run, self.files = process, run, files

    @classmethod
    async def start(cls, command: Sequence[str], run: SippRun, folder: Path, within_s: float = 10.0) -> Sipp:
        """Starts SIPp and waits until its port is bound. ``command`` runs it; ``folder`` is this run's own.

        Raises ``SippFailed`` if it ends with an error or does not listen in time.
        """
        files = SippFiles(folder)
        screen = await asyncio.to_thread(_prepare, files, run.scenario)
        try:
            process = await asyncio.create_subprocess_exec(
                *command, *arguments(run, files),
                stdin=asyncio.subprocess.DEVNULL, stdout=screen, stderr=screen, cwd=folder,
                env={"TERM": "dumb", "PATH": "/usr/bin:/bin"},
            )  # fmt: skip
        except OSError as error:
            raise SippFailed(f"SIPp cannot be run: {error.strerror}") from error
        finally:
            os.close(screen)
        sipp = cls(process, run, files)
        try:
            async with asyncio.timeout(within_s):
                # why: the kernel tells nobody that another process has bound a socket, so look again
                while not is_bound(run.local) and process.returncode is None:  # noqa: ASYNC110
                    await asyncio.sleep(_POLL_S)
        except TimeoutError:
            await sipp.kill()
            raise SippFailed(f"SIPp did not listen on port {run.local[1]} within {within_s:g} s") from None
        if process.returncode not in (None, 0, 1):
            raise SippFailed(f"SIPp ended with {process.returncode}: {sipp.last_words()}")
        return sipp

    async def finished(self, within_s: float) -> SippResult:
        """Waits for the run's own end. Raises ``SippFailed`` if it takes longer (SIPp is then killed)."""
        try:
            async with asyncio.timeout(within_s):
                await self._process.wait()
        except TimeoutError:
            await self.kill()
            raise SippFailed(f"SIPp was not done within {within_s:g} s: {self.last_words()}") from None
        return await asyncio.to_thread(self._result)

    async def stop(self, within_s: float = 5.0) -> SippResult:
        """Ends the run: no new calls, open ones are cut off after half the time. Returns what was counted."""
        for patience_s in (within_s / 2, max(within_s / 2, _LAST_WORDS_S)):
            # why: the first SIGUSR1 waits for open calls, the second one aborts them
            if self._process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    self._process.send_signal(signal.SIGUSR1)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(patience_s):
                        await self._process.wait()
        await self.kill()
        return await asyncio.to_thread(self._result)

    async def kill(self) -> None:
        """Ends the process at once."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()

    @property
    def pid(self) -> int:
        """The process, for measuring its CPU."""
        return self._process.pid

    def last_words(self) -> str:
        """The end of what SIPp printed and logged, for people."""
        return (_tail(self.files.errors, 1500) + _tail(self.files.screen, 1500)).strip()

    def messages(self) -> str:
        """All SIP messages, if ``record_messages`` was asked."""
        return _tail(self.files.messages, 10_000_000)

    def _result(self) -> SippResult:
        counts = read_counts(_tail(self.files.stats, 1_000_000))
        code = self._process.returncode
        return SippResult(
            exit_code=-1 if code is None else code,
            created=counts.get("TotalCallCreated", 0),
            succeeded=counts.get("SuccessfulCall(C)", 0),
            failed=counts.get("FailedCall(C)", 0),
            retransmissions=counts.get("Retransmissions(C)", 0),
            errors=_tail(self.files.errors, 4000),
        )


def _prepare(files: SippFiles, scenario: Scenario) -> int:
    files.folder.mkdir(parents=True, exist_ok=True)
    files.scenario.write_text(render(scenario))
    return os.open(files.screen, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)


def _tail(file: Path, octets: int) -> str:
    try:
        return file.read_bytes()[-octets:].decode("utf-8", "replace")
    except OSError:
        return ""


def read_counts(statistics: str) -> dict[str, int]:
    """The whole numbers of the last line of SIPp's statistics file, by column name. Pure."""
    lines = [line for line in statistics.splitlines() if line.strip()]
    if len(lines) < 2:
        return {}
    pairs = zip(lines[0].split(";"), lines[-1].split(";"), strict=False)
    return {name: int(value) for name, value in pairs if value.strip().isdigit()}


def is_bound(local: Address) -> bool:
    """Whether somebody on this machine has the UDP address (IPv4) bound."""
    octets = [int(part) for part in local[0].split(".")]
    wanted = "{3:02X}{2:02X}{1:02X}{0:02X}:{4:04X}".format(*octets, local[1])
    rows = Path("/proc/net/udp").read_text().splitlines()[1:]
    return any(row.split()[1] == wanted for row in rows)
