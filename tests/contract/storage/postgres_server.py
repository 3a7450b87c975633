"""A PostgreSQL server of the test run's own: found on the machine, started on loopback, stopped by its id."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import IO

START_S = STOP_S = 60.0
DEMOTE_TO = ("postgres", "nobody")
"""PostgreSQL refuses to run as root: there it runs as the first of these users that exists."""


class NoServer(Exception):
    """No PostgreSQL can be had here; the text says why."""


@dataclass
class PostgresServer:
    """A cluster of ours and the server that runs on it, trusting everybody on loopback."""

    port: int
    home: Path
    command: list[str]
    process: subprocess.Popen[str] | None = None
    listener: threading.Thread | None = None

    def url(self, database: str) -> str:
        return f"postgresql+asyncpg://patchbay@127.0.0.1:{self.port}/{database}"

    def start_server(self) -> None:
        """Returns when it accepts connections. Raises NoServer with what it said instead."""
        process = subprocess.Popen(
            self.command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd=self.home
        )
        assert process.stderr is not None
        heard = []
        for line in process.stderr:  # ends by itself when the server gives up
            heard.append(line)
            if "ready to accept connections" in line:
                self.process = process
                self.listener = threading.Thread(target=_listen, args=(process.stderr,), daemon=True)
                self.listener.start()
                return
        process.stderr.close()
        process.wait(START_S)
        raise NoServer("postgres did not start: " + "".join(heard)[-300:])

    def stop_server(self) -> None:
        """Stop without waiting for clients (SIGINT, "fast"), as an operator's restart does."""
        process, self.process = self.process, None
        if process is None:
            return
        process.send_signal(signal.SIGINT)
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(STOP_S)
        if self.listener is not None:
            self.listener.join(STOP_S)

    def remove(self) -> None:
        self.stop_server()
        shutil.rmtree(self.home, ignore_errors=True)


def _listen(said: IO[str]) -> None:
    """Take what the server says until its end: once the pipe is full, a server that nobody listens to stands
    still, and every refused row is a line or three."""
    with said:
        for _ in said:
            pass


def find(program: str) -> str:
    """The newest ``program`` on the machine. Raises NoServer."""
    versions = Path("/usr/lib/postgresql").glob(f"*/bin/{program}")
    newest = sorted(versions, key=lambda path: int(path.parts[4]), reverse=True)
    found = str(newest[0]) if newest else shutil.which(program)
    if found is None:
        raise NoServer(f"no {program} on this machine (PATH, /usr/lib/postgresql)")
    return found


def start() -> PostgresServer:
    """Make a cluster, run it, return when it accepts connections. Raises NoServer."""
    initdb, postgres = find("initdb"), find("postgres")
    home = Path(tempfile.mkdtemp(prefix="patchbay-pg-"))
    try:
        demote = _demotion(home)
        cluster = str(home / "cluster")
        made = subprocess.run(
            [
                *demote,
                initdb,
                "-D",
                cluster,
                "-U",
                "patchbay",
                "-A",
                "trust",
                "-E",
                "UTF8",
                "--no-sync",
                "--locale=C",
            ],
            capture_output=True,
            text=True,
            timeout=START_S,
            cwd=home,
            check=False,
        )
        if made.returncode != 0:
            raise NoServer(f"initdb failed: {made.stderr.strip()[-300:]}")
        port = _free_port()
        options = {
            "port": port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "fsync": "off",
            "autovacuum": "off",
            "deadlock_timeout": "200ms",
        }
        flags = [flag for name, value in options.items() for flag in ("-c", f"{name}={value}")]
        server = PostgresServer(port, home, [*demote, postgres, "-D", cluster, *flags])
        server.start_server()
    except BaseException:  # why: interrupted too, its folder would stay behind
        shutil.rmtree(home, ignore_errors=True)
        raise
    return server


def _demotion(home: Path) -> list[str]:
    if os.geteuid() != 0:
        return []
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise NoServer("PostgreSQL does not run as root, and there is no setpriv to leave root")
    for name in DEMOTE_TO:
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        os.chown(home, user.pw_uid, user.pw_gid)
        return [setpriv, f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    raise NoServer("PostgreSQL does not run as root, and there is no user postgres or nobody")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
