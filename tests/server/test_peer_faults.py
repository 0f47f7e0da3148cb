"""Log lines about connections: one a minute for each code."""

from __future__ import annotations

from proxy.server.peer_faults import INTERVAL, PeerFaults
from tests.support.clock import FakeClock


async def test_one_line_a_minute_is_written_for_each_code() -> None:
    clock = FakeClock()
    lines: list[tuple[str, dict[str, object]]] = []
    faults = PeerFaults(lambda message, /, **fields: lines.append((message, fields)), clock.now)
    for _ in range(3):
        faults.report("a", "What happened.", "192.0.2.1")
    faults.report("b", "Something else.", "")
    assert lines == [
        ("What happened.", {"code": "a", "client": "192.0.2.1"}),
        ("Something else.", {"code": "b", "client": "unix"}),
    ]
    clock.advance(INTERVAL)
    for _ in range(2):
        faults.report("a", "Again.", "192.0.2.2")
    assert lines[2:] == [("Again.", {"code": "a", "client": "192.0.2.2", "omitted": 2})]
    clock.advance(INTERVAL)
    faults.report("a", "Again.", "192.0.2.3")
    assert lines[3] == ("Again.", {"code": "a", "client": "192.0.2.3", "omitted": 1})
