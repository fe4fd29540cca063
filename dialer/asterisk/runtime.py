"""Asterisk as a program: start it, find it again, stop it.

A started Asterisk lives in a session of its own, with its control socket and pid file in its run folder. The
server may be killed: talks go on, and the next start adopts what runs. It runs as the server's own user.
Two of them run side by side, each with its run folder and ports.
"""

from __future__ import annotations

import asyncio
import os
import re
import resource
import select
import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import structlog

from dialer.asterisk.binary import AsteriskBinary, find_asterisk
from dialer.asterisk.config import ManagedAsterisk
from dialer.errors import ActionFailed, ActionTimeout, AsteriskUnavailable, PartMissing, SettingsError

__all__ = ["AsteriskBinary", "AsteriskServer", "check_ports", "find_asterisk"]

log = structlog.get_logger(__name__)

#: The longest path of a UNIX socket (sun_path less its end).
_SOCKET_PATH_BYTES = 107


def check_ports(managed: ManagedAsterisk) -> None:
    """Raises SettingsError that names the first port that another program has."""
    for setting, kind, host, port in (
        ("DOZVON_AMI_PORT", socket.SOCK_STREAM, "127.0.0.1", managed.ami_port),
        ("DOZVON_ASTERISK_HTTP_PORT", socket.SOCK_STREAM, "127.0.0.1", managed.http_port),
        ("DOZVON_SIP_PORT", socket.SOCK_DGRAM, managed.sip_host, managed.sip_port),
    ):
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family, kind) as trial:
            if kind == socket.SOCK_STREAM:
                # As Asterisk does: a connection of the last run that lingers is no hindrance.
                trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                trial.bind((host, port))
            except OSError as error:
                raise SettingsError(
                    setting=setting,
                    reason=f"{host}:{port} cannot be bound ({os.strerror(error.errno or 0)}): stop what "
                    "has it, perhaps another Asterisk, or choose another port",
                ) from None


class AsteriskServer:
    """One Asterisk in one run folder.

    `conf_dirs` hold `*.conf` files, a later folder winning over an earlier one; `generated` are the texts of
    `generated/*.conf`, which these include. `listens` are the ports in them: looked at before a start, since
    Asterisk itself runs on without a port that it could not have. Not for two tasks at once.
    """

    def __init__(
        self,
        binary: AsteriskBinary,
        run_dir: Path,
        conf_dirs: Sequence[Path],
        generated: Mapping[str, str],
        *,
        listens: ManagedAsterisk | None = None,
        language: str = "ru",
    ) -> None:
        self.binary = binary
        self.run_dir = run_dir.absolute()
        self._conf_dirs = tuple(conf_dirs)
        self._generated = dict(generated)
        self._listens = listens
        self._language = language
        self._etc = self.run_dir / "etc"
        self._control = self.run_dir / "run/asterisk.ctl"
        if len(os.fsencode(self._control)) > _SOCKET_PATH_BYTES:
            raise SettingsError(
                setting="DOZVON_DATA_DIR",
                reason=f"{self._control} is too long for a socket; use a shorter path",
            )

    @property
    def log_path(self) -> Path:
        """Where it writes what went wrong."""
        return self.run_dir / "log/messages.log"

    @property
    def pid(self) -> int | None:
        """Process id of the one that runs in this run folder; None when none does."""
        try:
            pid = int((self.run_dir / "run/asterisk.pid").read_text())
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except (FileNotFoundError, ProcessLookupError, ValueError):
            return None
        # A pid file outlives a crash, and its number may be another program's by now. Ours names our
        # configuration; a zombie has no command line.
        return pid if os.fsencode(self._conf_path) in words else None

    @property
    def _conf_path(self) -> Path:
        return self._etc / "asterisk.conf"

    async def start(self, *, deadline_s: float = 60.0) -> bool:
        """Start it, or adopt the one that runs; returns whether it was adopted. Returns when it is ready.

        An adopted one is given the present configuration; a change of a port waits for its next start.
        Raises AsteriskUnavailable with its last words, SettingsError for a port that is taken.
        """
        deadline = asyncio.get_running_loop().time() + deadline_s
        adopted = self.pid is not None
        changed = await asyncio.to_thread(self._write_folders, adopted)
        if not adopted:
            if self._listens:
                check_ports(self._listens)
            await asyncio.to_thread(self._spawn, deadline_s)
        try:
            await self._wait_booted(deadline)
        except AsteriskUnavailable:
            # What we started and cannot use must not hold the ports; what we adopted carries talks.
            if not adopted:
                await self.stop(deadline_s=2.0)
            raise
        if adopted and changed:
            await self.cli("core reload")
        log.info(
            "asterisk.adopted" if adopted else "asterisk.started",
            pid=self.pid,
            version=self.binary.version,
            run_dir=str(self.run_dir),
        )
        return adopted

    async def stop(self, *, deadline_s: float = 20.0) -> None:
        """Stop it: calls are hung up, modules unloaded; what is left at the deadline is killed."""
        pid = self.pid
        if pid is None:
            return
        with _ProcessHandle(pid) as process:
            # Not by "core stop now": sent as soon as it is ready, that is lost one time in thirty (22.10).
            process.send(signal.SIGTERM)
            if await process.gone(deadline_s):
                return
            log.warning("asterisk.killed", pid=pid, after_s=deadline_s)
            process.send(signal.SIGKILL)
            if not await process.gone(5.0):
                raise AsteriskUnavailable(reason=f"process {pid} does not end, not even by SIGKILL")

    async def cli(self, command: str, *, timeout_s: float = 10.0) -> str:
        """What Asterisk's console says to `command`.

        Raises AsteriskUnavailable when none runs in this run folder, ActionTimeout after `timeout_s`.
        """
        if any(ord(character) < 32 for character in command):
            raise ActionFailed(action="a console command", reason="it holds a control character")
        argv = (*self.binary.argv, "-C", str(self._conf_path), "-rx", command)
        process = await asyncio.create_subprocess_exec(
            *argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd="/",
        )
        try:
            async with asyncio.timeout(timeout_s):
                out, err = await process.communicate()
        except TimeoutError:
            raise ActionTimeout(action=command, seconds=timeout_s) from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        text = out.decode(errors="replace")
        if process.returncode:
            reason = err.decode(errors="replace").strip() or text.strip() or "no answer"
            raise AsteriskUnavailable(reason=reason.splitlines()[-1])
        return text

    def write_generated(self, files: Mapping[str, str]) -> bool:
        """Put `files` in place of the generated ones of their names; returns whether any differs.

        Asterisk reads them at its next reload: `module reload res_pjsip.so` for agents and trunks.
        """
        self._generated.update(files)
        folder = self._etc / "generated"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        # Every file is written: no short cut at the first that differs.
        differs = [_replace(folder / name, text, 0o600) for name, text in files.items()]
        return any(differs)

    # -- files --------------------------------------------------------------------------------------------

    def _write_folders(self, adopted: bool) -> bool:
        """Lay out the run folder; returns whether any file of the configuration changed."""
        for name in ("etc", "data/sounds", "lib/keys", "spool", "run", "log", "cache", "agi-bin"):
            (self.run_dir / name).mkdir(parents=True, exist_ok=True, mode=0o700)
        values = {
            "RUN": str(self.run_dir),
            "MODULES": str(self.binary.modules_dir),
            "LANGUAGE": self._language,
            # The user's own limit: more can only root give, and asking for more than it is an error.
            "MAXFILES": str(min(resource.getrlimit(resource.RLIMIT_NOFILE)[1], 65536)),
        }
        texts: dict[str, str] = {}
        for folder in self._conf_dirs:
            for path in sorted(folder.glob("*.conf")):
                texts[path.name] = path.read_text(encoding="utf-8")
        if "asterisk.conf" not in texts:
            raise PartMissing(
                part="asterisk.conf", mend=f"look into {self._conf_dirs}: is the package whole?"
            )
        texts["asterisk.conf"] = re.sub(r"@([A-Z]+)@", lambda word: values[word[1]], texts["asterisk.conf"])
        differs = [_replace(self._etc / name, text, 0o600) for name, text in texts.items()]
        differs.append(self.write_generated(self._generated))
        if not adopted:
            self._link_data()
            # Here and not above: numpy comes with it, and every start of the engine would wait for that.
            from dialer.asterisk.hold_music import write_hold_music

            write_hold_music(self.run_dir / "data/moh/dozvon.wav")
        return any(differs)

    def _link_data(self) -> None:
        """Make the data folder: links into the package's, with sounds under the names of languages."""
        data = self.run_dir / "data"
        for name in ("documentation", "rest-api"):
            if (self.binary.data_dir / name).is_dir():
                _link(data / name, self.binary.data_dir / name)
        sounds = self.binary.data_dir / "sounds"
        for language in ("en", "ru"):
            found = [sounds / language, *sorted(sounds.glob(f"{language}_*"))]
            for folder in found:
                if folder.is_dir():
                    _link(data / "sounds" / language, folder)
                    break

    # -- the process --------------------------------------------------------------------------------------

    def _spawn(self, deadline_s: float) -> None:
        # -F: it forks itself into a session of its own, so that it is no child of ours that would die or
        # be reaped with us. What it says before that is an error.
        argv = (*self.binary.argv, "-F", "-C", str(self._conf_path))
        try:
            done = subprocess.run(
                argv,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                cwd="/",
                start_new_session=True,
                umask=0o077,  # talks that it records are nobody else's to hear
                timeout=deadline_s,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise AsteriskUnavailable(reason=f"it does not start: {error}") from error
        if done.returncode:
            words = (done.stderr.strip() or done.stdout.strip() or "it said nothing").splitlines()
            raise AsteriskUnavailable(reason=f"it does not start: {words[-1]}")

    async def _wait_booted(self, deadline: float) -> None:
        loop = asyncio.get_running_loop()
        seen = False
        while loop.time() < deadline:
            if self.pid is not None:
                seen = True
            elif seen:
                raise AsteriskUnavailable(reason=self._last_words("it ended at once"))
            if self._control.exists():
                try:
                    # Answered when every module is loaded; cut off when it ends meanwhile.
                    answer = await self.cli(
                        "core waitfullybooted", timeout_s=max(0.1, deadline - loop.time())
                    )
                except ActionTimeout:
                    break
                except AsteriskUnavailable as error:
                    log.debug("asterisk.not_ready", reason=str(error))
                else:
                    if "fully booted" in answer:
                        return
            # Nothing tells that the control socket is there: it is looked for again.
            await asyncio.sleep(0.05)
        raise AsteriskUnavailable(reason=self._last_words("it does not become ready"))

    def _last_words(self, what: str) -> str:
        try:
            lines = self.log_path.read_text(errors="replace").splitlines()
        except FileNotFoundError:
            lines = []
        errors = [line for line in lines if "ERROR" in line]
        return f"{what}; see {self.log_path}" + (f": {errors[-1]}" if errors else "")


class _ProcessHandle:
    """A process that is no child of ours, held so that its number cannot pass to another."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        try:
            self._fd: int | None = os.pidfd_open(pid)
        except ProcessLookupError:
            self._fd = None

    def __enter__(self) -> _ProcessHandle:
        return self

    def __exit__(self, *_: object) -> None:
        if self._fd is not None:
            os.close(self._fd)

    def send(self, number: signal.Signals) -> None:
        """Send a signal; a process that has gone meanwhile needs none."""
        if self._fd is not None:
            try:
                signal.pidfd_send_signal(self._fd, number)
            except ProcessLookupError:
                log.debug("asterisk.gone_already", pid=self._pid)

    async def gone(self, timeout_s: float) -> bool:
        """Wait for its end; False when it is still there after `timeout_s`."""
        if self._fd is None:
            return True
        loop = asyncio.get_running_loop()
        ended = asyncio.Event()
        loop.add_reader(self._fd, ended.set)
        try:
            async with asyncio.timeout(timeout_s):
                await ended.wait()
        except TimeoutError:
            return bool(select.select([self._fd], [], [], 0)[0])
        finally:
            loop.remove_reader(self._fd)
        return True


def _replace(path: Path, text: str, mode: int) -> bool:
    """Write `text` to `path` in one step, readable by the owner only; returns whether it differs."""
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return False
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(fd, "w", encoding="utf-8") as file:
        file.write(text)
    new.replace(path)
    return True


def _link(link: Path, target: Path) -> None:
    if link.is_symlink():
        link.unlink()
    if not link.exists():
        link.symlink_to(target)
