"""The migrations in a process of their own: SQLAlchemy is larger than the recorder may be.

``python -m proxy.ledger.recorder.upgrade`` takes the address as JSON on its standard input.
"""

from __future__ import annotations

import asyncio
import os
import sys
from subprocess import DEVNULL, PIPE

import msgspec

from proxy.database.address import Address, require
from proxy.errors import ConfigError
from proxy.runtime.python import python_command, python_environment


async def run_upgrade(address: Address) -> str:
    """Run the missing migrations. Returns why they failed; ``""``: they are done."""
    try:
        process = await asyncio.create_subprocess_exec(
            *python_command("-m", __name__),
            env=python_environment(os.environ),
            stdin=PIPE,
            stdout=DEVNULL,
            stderr=PIPE,
        )
    except OSError as error:
        return f"the migrations cannot be started: {error.strerror or error}"
    _, words = await process.communicate(msgspec.json.encode(address))
    if process.returncode == 0:
        return ""
    lines = words.decode("utf-8", "replace").strip().splitlines()
    return lines[-1][:300] if lines else f"the migrations ended with status {process.returncode}"


def main() -> int:
    address = msgspec.json.decode(sys.stdin.buffer.read(), type=Address)
    try:
        require(address)
        from proxy.database import drivers, migrate

        try:
            asyncio.run(migrate.upgrade(address))
        except drivers.failures(address) as error:
            raise ConfigError([f"the migrations failed: {drivers.reason(error)}"]) from None
    except ConfigError as error:
        sys.stderr.write(" ".join(error.mistakes) + "\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
