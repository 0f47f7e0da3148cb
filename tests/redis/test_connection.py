"""What is sent over a connection to Redis. The connection itself: tests/limits/test_script_connection.py."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.redis.connection import packed


@given(st.lists(st.binary(max_size=50), min_size=1, max_size=5))
def test_commands_are_packed_as_redis_py_does(command: list[bytes]) -> None:
    connection = pytest.importorskip("redis.asyncio.connection").Connection()
    command[0] = b"EVALSHA"
    assert packed(command) == b"".join(connection.pack_command(*command))
