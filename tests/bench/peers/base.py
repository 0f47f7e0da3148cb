"""Interface of the benchmark to a proxy."""

from __future__ import annotations

import subprocess
import sys
from abc import ABC, abstractmethod
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from msgspec import Struct

from tests.bench.child import ROOT, Child
from tests.bench.dialects import CHAT
from tests.support.ports import free_port

CACHE = ROOT / ".bench"  # environments of the peers whose pins are too heavy for ours


class Missing(Exception):
    """This peer cannot run here; the message is the missing requirement."""


class Provider(Struct, frozen=True):
    """The mock upstream. ``ca``: a PEM file that its certificate for 127.0.0.1 is signed by."""

    plain: int
    tls: int
    ca: Path

    def port(self, tls: bool) -> int:
        return self.tls if tls else self.plain


class Peer(ABC):
    """One proxy, one worker. Subclasses configure it; no process runs before ``start``.

    ``title`` heads its column; ``""``: the name.
    ``path`` is a template of the path for clients (``Traffic``).

    ``rewrites``: the provider's dialect, of a proxy that writes events of its own; ``""``: they leave it byte for byte as
    they came. ``streams``: how many at 20 ms it is measured with;
    ``many``: how many open ones for its memory, ``None`` as many as planned. ``patience``: seconds until its first answer.
    """

    name = ""
    title = ""
    traffic = CHAT
    path = CHAT.path
    model = "bench"
    rewrites = ""
    streams = 400
    many: int | None = None
    patience = 15.0
    tree = ROOT  # where it is started

    def __init__(self, provider: Provider, folder: Path, tls: bool = False) -> None:
        self.provider = provider
        self.tls = tls
        self.title = f"{self.title or self.name}{' (TLS)' if tls else ''}"
        self.folder = folder / f"{self.name}{'-tls' if tls else ''}"
        self.folder.mkdir()
        self.port = 0
        self.child: Child | None = None

    @abstractmethod
    def version(self) -> str:
        """Check the requirements before a start; raises Missing."""

    @abstractmethod
    def command(self) -> list[str]:
        """Writes the configuration to ``folder`` and returns the command that listens on ``port``."""

    def environment(self) -> dict[str, str]:
        return {}

    def listening(self, child: Child) -> int:
        """The port once it is known, else 0."""
        return self.port

    def start(self, core: int) -> Child:
        """The process; it does not answer yet."""
        self.port = free_port()
        self.child = Child(self.command(), core, self.folder / "log", self.environment(), self.tree)
        return self.child

    def stop(self) -> None:
        if self.child is not None:
            self.child.stop()
            self.child = None

    @property
    def origin(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.provider.port(self.tls)}"


def installed(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        raise Missing(f"the Python package {package} is not installed (it is in the bench extra)") from None


def own_environment(name: str, requirement: str) -> Path:
    """The Python of an environment that holds this one requirement, made at the first use; raises Missing."""
    place = CACHE / name
    python = place / "bin" / "python"
    stamp = place / "requirement"
    if python.exists() and stamp.exists() and stamp.read_text() == requirement:
        return python
    print(f"bench: installing {requirement} into {place.relative_to(ROOT)}", file=sys.stderr)
    steps = (
        [sys.executable, "-m", "venv", "--clear", str(place)],
        [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary", ":all:", requirement],
    )  # fmt: skip
    for step in steps:
        try:
            done = subprocess.run(step, capture_output=True, text=True, timeout=600)
        except subprocess.TimeoutExpired:
            raise Missing(f"installing {requirement} took more than 10 minutes") from None
        if done.returncode:
            raise Missing(f"cannot install {requirement}: {done.stderr.strip().splitlines()[-1:]}")
    stamp.write_text(requirement)
    return python


def version_in(python: Path, package: str) -> str:
    code = f"from importlib.metadata import version; print(version({package!r}))"
    return subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=True).stdout.strip()
