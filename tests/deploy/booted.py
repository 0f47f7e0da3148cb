"""A real systemd as process 1 of namespaces of its own, with the unit of ``deploy/systemd``.

It sees the programs and the network of this machine. What it writes (``/etc``, ``/run``, ``/var``, ``/tmp``) is its own,
and it may change neither settings of the kernel nor the clock.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType

from tests.deploy.unit import UNIT
from tests.support.machine import debian_program, missing
from tests.support.patience import PATIENCE

ROOT = Path(__file__).resolve().parents[2]
LOGROTATE = ROOT / "deploy" / "logrotate" / "sluice"
USER_ID = 64055  # of the user sluice; no user of this machine needs to have it
HIDDEN = ("/opt", "/home", "/root", "/tmp", "/var/tmp", "/run")  # where a Python would not be found by the unit

# Units that systemd needs, or that every unit requires by default.
TARGETS = ("basic.target", "sysinit.target", "shutdown.target", "multi-user.target")

# The gateway comes from this checkout.
DROP_IN = """\
[Service]
ExecStart=
ExecStart=/opt/sluice/.venv/bin/python -m proxy serve
Environment=PYTHONPATH=/opt/sluice PYTHONDONTWRITEBYTECODE=1
StandardOutput=append:/run/output.log
StandardError=inherit
RestartSec=100ms
"""

# $1: this checkout, $2: the copy of /etc, $3: folder of units, $4: the cgroup, where it was made
BOOT = """\
set -eu
mount --make-rprivate /
mount -t proc proc /proc
mount --bind /proc/sys /proc/sys
mount -o remount,bind,ro /proc/sys
if [ "${4#/sys/fs/cgroup/systemd/}" != "$4" ]; then
    mount -t tmpfs tmpfs /sys/fs/cgroup
    mkdir /sys/fs/cgroup/systemd
    mount -t cgroup -o none,name=systemd cgroup /sys/fs/cgroup/systemd
else
    mount -t cgroup2 cgroup2 /sys/fs/cgroup
fi
mount --bind "$2" /etc
mount -t tmpfs tmpfs /opt
mkdir /opt/sluice
mount --bind "$1" /opt/sluice
mount -t tmpfs tmpfs /run
mkdir /run/units
cp -R "$3/." /run/units
for folder in /var/lib /var/cache /var/log /var/tmp /tmp; do mount -t tmpfs tmpfs "$folder"; done
mkdir /var/lib/logrotate
cd /
export SYSTEMD_UNIT_PATH=/run/units SYSTEMD_GENERATOR_PATH=/run/none container=test
exec /lib/systemd/systemd --system --unit=basic.target --log-target=console --show-status=no
"""


class BootedSystemd:
    """``with BootedSystemd(folder) as machine``; ``folder`` takes its files. Needs root."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._console = folder / "console.log"
        self._pid = 0

    def __enter__(self) -> BootedSystemd:
        self._check()
        self._prepare()
        self._cgroup = _new_cgroup()
        kept = "--bounding-set=-sys_time,-sys_module,-sys_rawio,-sys_boot"
        apart = ("--mount", "--pid", "--fork", "--kill-child", "--uts", "--ipc", "--cgroup")
        boot = (BOOT, "boot", str(ROOT), str(self._folder / "etc"), str(self._folder / "units"), str(self._cgroup))
        join = ("sh", "-c", 'echo $$ >"$0/cgroup.procs" && exec "$@"', str(self._cgroup))
        with self._console.open("wb") as console:
            # It ends with this process, whatever ends that.
            command = ["setpriv", "--pdeathsig", "KILL", kept, *join, "unshare", *apart, "sh", "-c", *boot]
            self._unshare = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=console, stderr=console)
        try:
            self._wait_for_boot()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def _check(self) -> None:
        if os.geteuid() != 0:
            missing("only root can run a systemd in namespaces")
        debian_program("systemd-analyze", "systemd")
        debian_program("logrotate", "logrotate")
        if str(Path(sys.executable).resolve()).startswith(tuple(f"{folder}/" for folder in HIDDEN)):
            missing(f"the unit hides the folder of {sys.executable}")

    def _prepare(self) -> None:
        etc, units = self._folder / "etc", self._folder / "units"
        subprocess.run(["cp", "-a", "/etc", str(etc)], check=True)
        for file, line in (
            ("passwd", f"sluice:x:{USER_ID}:{USER_ID}::/var/lib/sluice:/usr/sbin/nologin"),
            ("group", f"sluice:x:{USER_ID}:"),
        ):
            with (etc / file).open("a") as opened:
                opened.write(f"{line}\n")
        (etc / "sluice").mkdir()
        shutil.copy(LOGROTATE, etc / "logrotate.d" / "sluice")
        units.mkdir()
        for name in TARGETS:
            (units / name).write_text(f"[Unit]\nDescription={name}\nDefaultDependencies=no\n")
        for name in ("sluice.service", "sluice@.service"):
            shutil.copy(UNIT, units / name)
            (units / f"{name}.d").mkdir()
            (units / f"{name}.d" / "test.conf").write_text(DROP_IN)

    def _wait_for_boot(self) -> None:
        end = time.monotonic() + PATIENCE
        children = Path(f"/proc/{self._unshare.pid}/task/{self._unshare.pid}/children")
        while time.monotonic() < end and self._unshare.poll() is None:
            self._pid = int((children.read_text().split() or ["0"])[0])
            if self._pid and self.path("/run/systemd/private").exists():
                ran = subprocess.run(self._inside("systemctl", "is-active", "basic.target"), capture_output=True)
                if ran.returncode == 0:
                    return
            time.sleep(0.05)
        missing(f"systemd did not start in namespaces: {self._console.read_text()[-2000:]!r}")

    def _end(self) -> None:
        self._unshare.kill()  # its child is killed with it, and that is process 1 of the others
        self._unshare.wait()
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            try:
                for folder, _, _ in os.walk(self._cgroup, topdown=False):
                    os.rmdir(folder)
            except OSError:
                time.sleep(0.05)  # some process has not ended
            else:
                return

    def path(self, path: str) -> Path:
        """``path`` of this machine, from outside."""
        return Path(f"/proc/{self._pid}/root{path}")

    def _inside(self, *command: str) -> list[str]:
        return ["nsenter", "--target", str(self._pid), "--all", *command]

    async def run(self, *command: str) -> tuple[int, str]:
        """Run a program as root on this machine: exit status and output."""
        process = await asyncio.create_subprocess_exec(
            *self._inside(*command), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        async with asyncio.timeout(4 * PATIENCE):
            output, _ = await process.communicate()
        assert process.returncode is not None
        return process.returncode, output.decode().strip()

    async def succeeds(self, *command: str) -> str:
        status, output = await self.run(*command)
        assert status == 0, (command, output, self.output[-3000:], self._console.read_text()[-1000:])
        return output

    async def show(self, unit: str, name: str) -> str:
        """A property of a unit."""
        return await self.succeeds("systemctl", "show", "--value", "--property", name, unit)

    async def override(self, unit: str, text: str) -> None:
        """Settings of one unit, as `systemctl edit` makes them. They stay, so each test takes an instance of its own."""
        folder = self.path(f"/run/units/{unit}.service.d")
        folder.mkdir()
        (folder / "zz-override.conf").write_text(f"[Service]\n{text}")
        await self.succeeds("systemctl", "daemon-reload")

    @property
    def output(self) -> str:
        """Of all gateways."""
        path = self.path("/run/output.log")
        return path.read_text() if path.exists() else ""


def _new_cgroup() -> Path:
    """Of the hierarchy that systemd uses: its own, or the one of cgroup v2."""
    top = next(
        (path for path in map(Path, ("/sys/fs/cgroup/systemd", "/sys/fs/cgroup")) if (path / "cgroup.procs").exists()),
        None,
    )
    if top is None:
        missing("neither cgroup v2 nor systemd's own hierarchy is mounted")
    cgroup = top / f"sluice-test-{os.getpid()}"
    try:
        cgroup.mkdir()
    except OSError as error:
        missing(f"no cgroup can be made: {error}")
    return cgroup
