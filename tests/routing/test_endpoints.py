"""The table of endpoints."""

from __future__ import annotations

from proxy.config.provider_schema import ModelSettings
from proxy.routing.endpoints import ENDPOINTS, PATHS, TEXT, WIRES, paths_of, served


def test_all_endpoints_of_a_path_need_the_same_dialect_of_a_provider() -> None:
    assert all(WIRES[endpoint.path] == endpoint.wire for endpoint in ENDPOINTS)
    assert set(WIRES) == set(PATHS)


def test_the_paths_of_a_dialect() -> None:
    assert paths_of("responses") == {"responses", "responses/input_tokens"}
    assert paths_of("messages") == {"messages", "messages/count_tokens"}


def test_what_a_model_serves_follows_from_its_type_and_its_endpoints() -> None:
    assert served(None) is None
    assert served(ModelSettings("m", "p")) is None
    assert served(ModelSettings("m", "p", type="chat")) == TEXT
    assert served(ModelSettings("m", "p", type="chat", endpoints=["chat"])) == {"chat/completions"}
    assert served(ModelSettings("m", "p", type="embedding")) == {"embeddings", "embedContent", "batchEmbedContents"}
