"""One address as a text or a mapping; ``test_parsing.py`` has its forms and mistakes within whole files."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from proxy.config.service_schema import ServerAddress
from proxy.services.discovery.file.instances import InstanceReader


def read(value: Any) -> tuple[ServerAddress | None, list[tuple[str, str]]]:
    refused: list[tuple[str, str]] = []
    return InstanceReader(lambda path, text: refused.append((path, text))).read(value, "web[0]"), refused


def test_a_mistake_beside_the_address_is_told_with_its_place() -> None:
    _, refused = read({"host": "a", "port": 80, "Weight": "x", "Region": 1})
    assert [path for path, _ in refused] == ["web[0].Weight", "web[0].Region"]


def test_keys_that_are_like_no_other_are_left_alone() -> None:
    assert read({"host": "a", "port": 80, "enable_tag_override": True}) == (ServerAddress("http://a:80"), [])


@given(
    host=st.sampled_from(["a", "10.0.0.1", "2001:db8::1", "web.example"]),
    port=st.integers(1, 65535),
    weight=st.floats(0, 1_000_000),
    priority=st.integers(0, 100),
)
def test_what_is_written_comes_back(host: str, port: int, weight: float, priority: int) -> None:
    found, refused = read({"host": host, "port": port, "weight": weight, "priority": priority})
    name = f"[{host}]" if ":" in host else host
    assert (found, refused) == (ServerAddress(f"http://{name}:{port}", weight, priority), [])
