"""Table of the stages of ``scripts/test-deploy``, each with the Debian packages that it needs."""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

FOLDER: Final = Path(__file__).parent


class Stage(NamedTuple):
    """``as_root``: it can only run as root, for example because it makes containers. ``workers``: tests at a time.

    One that takes longer than ``most_secs`` hangs. With an ``opt_in`` it runs only if it is named, or if the environment
    variable of that name is 1.
    """

    name: str
    packages: tuple[str, ...] = ()
    as_root: bool = False
    workers: int = 0  # 0: in one process, one test after the other
    opt_in: str = ""
    most_secs: float = 900.0

    @property
    def file(self) -> Path:
        return FOLDER / f"stage_{self.name}.py"


# The longest first: two run at a time, and the end comes sooner if no long one starts last.
STAGES: Final = (
    # the container image: built, run and used
    Stage(
        "image",
        ("buildah", "podman", "conmon", "runc", "mmdebstrap", "debian-archive-keyring", "curl", "ca-certificates"),
        as_root=True,
    ),
    # deploy/scripts: each, and below what all scripts have in common, start and stop
    Stage("backup", ("dash", "postgresql-client")),
    Stage("monitor", ("curl", "dash", "openssl")),
    Stage("release", ("git",)),  # scripts/release, and the wheel that it builds
    # balancers in front of gateways; workers, as the tests wait for health checks and timeouts
    Stage("balancers", ("curl", "haproxy", "libnginx-mod-stream", "nginx"), workers=4),
    Stage("firewall", ("dash", "iproute2", "nftables"), as_root=True),
    # Claude Code, Codex and Gemini CLI, 1 GB of npm packages (tests/clients)
    Stage("clients", workers=2, opt_in="SLUICE_CLI_TESTS"),
    # the same over providers of other APIs
    Stage("translation", workers=2, opt_in="SLUICE_CLI_TESTS"),
    # workflows in n8n itself, 3 GB of npm packages (tests/n8n), of which two are compiled
    Stage("workflows", ("g++", "make", "python3"), opt_in="SLUICE_TEST_N8N", most_secs=1800.0),
    # the n8n package of deploy/n8n: linter, build, its own tests
    Stage("n8n", opt_in="SLUICE_CLI_TESTS"),
    # what the compose files configure: nginx, gateways, Redis, Prometheus, Alertmanager
    Stage(
        "compose",
        ("docker-compose", "nginx", "postgresql-client", "prometheus", "prometheus-alertmanager", "redis-server"),
    ),
    Stage("tls", ("certbot", "dash", "nginx", "openssl", "pebble")),
    # the unit and the logrotate file, with a systemd that is booted in namespaces
    Stage("systemd", ("systemd", "logrotate", "util-linux")),
    Stage("scripts", ("dash",)),
    Stage("lint", ("shellcheck",)),  # the files themselves
)
