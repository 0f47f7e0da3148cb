"""Container images and containers without a Docker engine: Debian's buildah and podman on a store that is deleted.

``engine(folder)`` needs root, ``mmdebstrap``, ``buildah``, ``podman``, ``conmon`` and ``runc``. A machine on which they
do not work is told apart from a broken Dockerfile: there the test is skipped with the reason, and fails in CI.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from tests.deploy.tools import cache_folder
from tests.support.machine import debian_program, missing, one_at_a_time
from tests.support.patience import PATIENCE, within

ROOT = Path(__file__).resolve().parents[2]
SUITE = "bookworm"
PACKAGES = ("python3", "python3-venv", "ca-certificates")  # of the base image
BASE = "localhost/base"
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"  # may have those of a proxy
COMMAND_SECS = 300.0
STOP_SECS = 20.0  # for buildah to unmount after a signal

_ADDRESS = re.compile(r"listens on http://[^\s:]+:(\d+)")


class Output(NamedTuple):
    status: int
    text: str  # stdout, then stderr


class Engine:
    """Images and containers in ``folder``. Commands fail the test unless they succeed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._environ = os.environ | {"TMPDIR": str(folder / "tmp"), "CONTAINERS_CONF": str(folder / "containers.conf")}
        (folder / "tmp").mkdir()
        # Without these, locks, volumes and the list of containers would be those of the whole machine.
        lines = {"lock_type": "file", "tmp_dir": folder / "run/libpod", "static_dir": folder / "store/libpod"}
        lines |= {"volume_path": folder / "store/volumes"}
        text = "".join(f'{name} = "{value}"\n' for name, value in lines.items())
        (folder / "containers.conf").write_text(f"[engine]\n{text}")
        driver = "overlay" if overlay_works(folder) else "vfs"
        self._store = ("--root", str(folder / "store"), "--runroot", str(folder / "run"), "--storage-driver", driver)

    # images

    def build(self, tag: str, *, certificates: bool = True, **arguments: str) -> Output:
        """Build ``deploy/Dockerfile`` on the base image, with these build arguments."""
        given = {"BASE": BASE} | arguments
        if index := os.environ.get("PIP_INDEX_URL"):
            given["PIP_INDEX_URL"] = index
        options = ["--isolation", "chroot", "--pull-never", "--network", "host", "--format", "docker"]
        if certificates and Path(CERTIFICATES).exists():
            given["PIP_CERT"] = CERTIFICATES
            options += ["--volume", f"{CERTIFICATES}:{CERTIFICATES}:ro"]
        for name, value in given.items():
            options += ["--build-arg", f"{name}={value}"]
        return self._run(self._buildah("bud", *options, "--file", "deploy/Dockerfile", "--tag", tag, "."))

    def make_base(self, tar: Path) -> None:
        """Raises AssertionError if this machine cannot do it."""
        self._must(self._buildah("from", "--name", "base", "scratch"))
        self._must(self._buildah("add", "--quiet", "base", str(tar)))
        self._must(self._buildah("run", "--isolation", "chroot", "base", "--", "true"))
        self._must(self._buildah("commit", "--quiet", "--rm", "base", BASE))
        self._must(self._podman("run", "--rm", "--network", "none", *run_options(), BASE, "true"))

    def image(self, tag: str) -> dict[str, Any]:
        found: list[dict[str, Any]] = json.loads(self.podman("image", "inspect", tag))
        return found[0]

    # containers

    def podman(self, *arguments: str) -> str:
        return self._must(self._podman(*arguments))

    def attempt(self, *arguments: str) -> Output:
        """``podman`` with any exit status."""
        return self._run(self._podman(*arguments))

    @asynccontextmanager
    async def container(
        self,
        image: str,
        *command: str,
        environ: Mapping[str, str] | None = None,
        network: str = "none",
        options: Sequence[str] = (),
    ) -> AsyncIterator[Container]:
        """A running gateway, once it listens; it is removed at the end of the block."""
        given = ("--network", network, *run_options(), *_variables(environ), *options, image, *command)
        name = (await asyncio.to_thread(self.podman, "run", "--detach", *given)).strip()
        running = Container(self, name)
        try:
            await running.started()
            yield running
        finally:
            await asyncio.to_thread(self.podman, "rm", "--force", "--time", "0", "--volumes", name)

    @contextmanager
    def idle(self, image: str, *, options: Sequence[str] = ()) -> Iterator[Container]:
        """A container without a gateway, in which commands run one after the other."""
        given = ("--network", "none", *run_options(), *options, "--entrypoint", "sleep", image, "infinity")
        name = self.podman("run", "--detach", *given).strip()
        try:
            yield Container(self, name)
        finally:
            self.podman("rm", "--force", "--time", "0", "--volumes", name)

    def once(self, image: str, *command: str, options: Sequence[str] = (), network: str = "none") -> Output:
        """Run a container to its end."""
        return self.attempt("run", "--rm", "--network", network, *run_options(), *options, image, *command)

    # running programs

    def _buildah(self, *arguments: str) -> list[str]:
        return [debian_program("buildah", "buildah"), *self._store, *arguments]

    def _podman(self, *arguments: str) -> list[str]:
        kinds = ("--runtime", "runc", "--cgroup-manager", "cgroupfs", "--events-backend", "file")
        return [debian_program("podman", "podman"), *self._store, *kinds, *arguments]

    def _must(self, command: list[str]) -> str:
        """Standard output, without warnings."""
        output = self._run(command, apart=True)
        assert output.status == 0, f"{' '.join(command)}: {output.text}"
        return output.text

    def _run(self, command: list[str], *, apart: bool = False) -> Output:
        return run(command, self._environ, apart=apart)

    # the end

    def remove(self) -> list[str]:
        """Delete everything. Returns what was still mounted or running, which it ends, too.

        The driver's own mount of its folder is no leak. A podman that fails leaves it to the next one: as that which
        conmon starts to clean up after a container does, if the container was removed meanwhile.
        """
        self.attempt("rm", "--all", "--force", "--time", "0", "--volumes")
        end_pauses(self.folder)
        left = []
        for pid, line in processes_below(self.folder):
            left.append(line)
            os.kill(pid, signal.SIGKILL)
        for place in mounts_below(self.folder):
            if place != f"{self.folder}/store/overlay":
                left.append(place)
            subprocess.run(["umount", "--lazy", place], check=True, timeout=60)
        shutil.rmtree(self.folder)
        return left


class Container:
    """A running container of the gateway's image. ``port``: as its start line has it; 0 for a unix socket."""

    def __init__(self, engine: Engine, name: str) -> None:
        self.name = name
        self.port = 0
        self._engine = engine

    @property
    def pid(self) -> int:
        return int(self.state("Pid"))

    def state(self, key: str) -> str:
        return self._engine.podman("inspect", self.name, "--format", f"{{{{.State.{key}}}}}").strip()

    def log(self) -> str:
        return self._engine.attempt("logs", self.name).text

    def execute(self, *command: str, environ: Mapping[str, str] | None = None, user: str = "") -> Output:
        """A program in the container, as its user unless another one is named."""
        chosen = ("--user", user) if user else ()
        return self._engine.attempt("exec", *_variables(environ), *chosen, self.name, *command)

    def signal(self, name: str) -> None:
        self._engine.podman("kill", "--signal", name, self.name)

    def wait(self) -> int:
        """The exit status, once it has ended."""
        return int(self._engine.podman("wait", self.name))

    async def started(self) -> None:
        """Wait for the start line; an AssertionError with the log if it ends before."""
        text = ""

        async def look() -> None:
            nonlocal text
            while "listens on" not in text:
                running = await asyncio.to_thread(self.state, "Running")
                text = await asyncio.to_thread(self.log)
                assert running == "true" or "listens on" in text, text
                await asyncio.sleep(0.05)

        await within(look(), "the start line", lambda: text)
        found = _ADDRESS.search(text)
        self.port = int(found[1]) if found else 0

    def process_status(self) -> dict[str, str]:
        """``/proc/PID/status`` of its first process."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}

    def in_network(self, *command: str) -> Output:
        """A program of this machine in the container's network."""
        entered = ["nsenter", f"--net=/proc/{self.pid}/ns/net", *command]
        return run(entered, {"PATH": os.environ["PATH"]})  # without proxies


def _variables(environ: Mapping[str, str] | None) -> list[str]:
    return [part for name, value in (environ or {}).items() for part in ("--env", f"{name}={value}")]


def run_options() -> tuple[str, ...]:
    """The options of deploy/README.md, and what podman needs where neither systemd nor cgroups can be used."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return (
        *("--ulimit", f"nofile={most}:{most}", "--ulimit", "nproc=1000:1000", "--no-healthcheck", "--http-proxy=false"),
        *("--read-only", "--read-only-tmpfs=false", "--tmpfs", "/tmp", "--user", "10001:10001"),
        *("--cap-drop", "ALL", "--security-opt", "no-new-privileges"),
    )


def overlay_works(folder: Path) -> bool:
    """Whether containers can share the files of their image. Else ``vfs`` copies them for each, which takes seconds."""
    names = ("lower", "upper", "work", "merged")
    places = {name: folder / "probe" / name for name in names}
    for place in places.values():
        place.mkdir(parents=True)
    options = ",".join(f"{name}dir={places[name]}" for name in names[:3])
    mounted = run(["mount", "-t", "overlay", "-o", options, "overlay", str(places["merged"])], os.environ)
    if mounted.status:
        return False
    subprocess.run(["umount", str(places["merged"])], check=True, timeout=60)
    return True


@contextmanager
def engine(folder: Path) -> Iterator[Engine]:
    """An engine with the base image. ``folder`` is deleted at the end, and nothing may run or be mounted there then."""
    found = Engine(folder)
    try:
        try:
            found.make_base(base_tar())
        except AssertionError as error:
            missing(f"this machine cannot build and run containers: {str(error).splitlines()[0][-300:]}")
        yield found
    finally:
        left = found.remove()
    assert left == [], left


def base_tar() -> Path:
    """The base image's files, made by mmdebstrap and kept in the cache folder."""
    name = hashlib.sha256(repr((SUITE, PACKAGES)).encode()).hexdigest()[:16]
    path = cache_folder() / f"base-{name}.tar"
    with one_at_a_time("base-image"):
        if not path.exists():
            for old in cache_folder().glob("base-*"):
                old.unlink()
            unfinished = path.with_suffix(".tmp.tar")
            program = debian_program("mmdebstrap", "mmdebstrap")
            options = ("--quiet", "--variant=minbase", f"--include={','.join(PACKAGES)}")
            made = run([program, *options, SUITE, str(unfinished)], dict(os.environ))
            if made.status:
                missing(f"mmdebstrap cannot make the base image: {made.text[-1000:]}")
            unfinished.rename(path)
    return path


def run(command: list[str], environ: Mapping[str, str], *, apart: bool = False) -> Output:
    """Run a program from the checkout's folder. ``apart``: the output is that on stdout only, if it succeeds.

    It gets time to clean up if this is interrupted: buildah mounts.
    """
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=dict(environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        out, err = process.communicate(timeout=COMMAND_SECS)
    except BaseException:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.communicate(timeout=STOP_SECS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
        raise
    return Output(process.returncode, out if apart and not process.returncode else out + err)


def mounts_below(folder: Path) -> list[str]:
    """The deepest first."""
    places = [line.split(" ")[1] for line in Path("/proc/mounts").read_text().splitlines()]
    return sorted((place for place in places if place.startswith(f"{folder}/")), key=len, reverse=True)


def end_pauses(folder: Path) -> None:
    """End what podman leaves running on purpose where it lacks rights: a process that keeps its namespaces."""
    for pid, _ in _processes_naming(str(folder)):
        try:
            if Path(f"/proc/{pid}/comm").read_text() == "podman pause\n":
                os.kill(pid, signal.SIGKILL)
        except (FileNotFoundError, ProcessLookupError):
            continue


def processes_below(folder: Path) -> list[tuple[int, str]]:
    """Processes, with their command lines, that name the folder there or in their environment.

    Those that are about to end get time for it, such as the ``podman`` that cleans up after a container.
    """
    end = time.monotonic() + PATIENCE
    while found := list(_processes_naming(str(folder))):
        if time.monotonic() > end:
            break
        time.sleep(0.05)
    return found


def _processes_naming(text: str) -> Iterator[tuple[int, str]]:
    for entry in Path("/proc").iterdir():
        try:
            if not entry.name.isdecimal() or int(entry.name) == os.getpid():
                continue
            line, environ = (entry / "cmdline").read_bytes(), (entry / "environ").read_bytes()
        except OSError:  # it has ended
            continue
        if text.encode() in line + environ:
            yield int(entry.name), line.decode(errors="replace").replace("\0", " ").strip()
