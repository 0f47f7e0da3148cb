"""A gateway process that writes records as fast as it can: ``python -m tests.ledger.spool.gateway FOLDER``.

It writes a line with its nonce, and then one for each record that it has written, until it is killed or its input ends.
"""

from __future__ import annotations

import os
import select
import sys
from itertools import count
from pathlib import Path

from proxy.ledger.spool.format import CLOSE
from proxy.ledger.spool.writer import SpoolWriter


def main() -> None:
    spool = SpoolWriter(Path(sys.argv[1]), limit_bytes=64 << 20, segment_bytes=64 << 10, notice=print)
    os.write(1, f"{spool.nonce}\n".encode())
    for number in count():
        spool.open(b"%d" % number + bytes(200))
        os.write(1, b"%d\n" % number)
        spool.write([(CLOSE, b"%d" % number + bytes(600))])
        if select.select([0], [], [], 0)[0]:
            break
    spool.end()


if __name__ == "__main__":
    main()
