from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

import pytest

from tests.support.recorded import Case, cases, framing_cases


def test_every_recorded_exchange_is_found(shared: Path) -> None:
    assert len(cases()) == 75
    assert len(framing_cases()) == 97


@pytest.mark.parametrize("case", cases(), ids=str)
def test_a_recorded_exchange_matches_its_metadata(case: Case) -> None:
    assert (case.provider, case.status) == (case.meta["provider"], case.meta["status"])
    assert hashlib.sha256(case.response).hexdigest() == case.meta["body_sha256"]
    assert b"".join(case.chunks) == case.response
    assert len(case.chunks) == (case.meta["network_chunks"] if case.framed else 1)
    assert case.path.startswith("/") or not case.meta["url"]
    assert not {name.lower() for name, _ in case.replay_headers} & {"transfer-encoding", "content-length"}


def test_the_compressed_recording_is_of_the_same_body(shared: Path) -> None:
    (case,) = [case for case in cases() if case.raw_gzip]
    assert gzip.decompress(case.raw_gzip) == case.response


def test_patterns_select_cases(shared: Path) -> None:
    assert {case.provider for case in cases("openai")} == {"openai"}
    assert all("framed" in case.name for case in cases(name="*framed*"))
    assert cases("openai", "chat-json-text")[0].request.startswith(b"{")
