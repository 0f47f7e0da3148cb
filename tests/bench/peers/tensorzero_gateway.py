"""Serves TensorZero's embedded HTTP gateway until it is killed, and prints the address that it chose.

A program for the environment that holds the tensorzero package: it imports nothing of ours.
"""

from __future__ import annotations

import signal
import sys

from tensorzero.tensorzero import _start_http_gateway

if __name__ == "__main__":
    gateway = _start_http_gateway(
        config_file=sys.argv[1], clickhouse_url=None, postgres_url=None, valkey_url=None, async_setup=False
    )
    print(gateway.base_url, flush=True)
    signal.pause()
