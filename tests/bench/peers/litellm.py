"""LiteLLM's proxy with a bare configuration and no database. It is measured with fewer streams: it needs half a
millisecond for each token."""

from __future__ import annotations

import json
from pathlib import Path

from tests.bench.dialects import CHAT
from tests.bench.peers.base import Peer, own_environment, version_in

REQUIREMENT = "litellm[proxy]==1.106.2"  # never 1.82.7 or 1.82.8


class LiteLlm(Peer):
    name = "litellm"
    rewrites = CHAT.name
    streams = 20
    many = 50
    patience = 90.0

    def python(self) -> Path:
        return own_environment("litellm", REQUIREMENT)

    def version(self) -> str:
        return version_in(self.python(), "litellm")

    def command(self) -> list[str]:
        config = self.folder / "litellm.yaml"
        deployment = {"model": "openai/bench", "api_base": f"{self.origin}/v1", "api_key": "sk-bench"}
        config.write_text(json.dumps({"model_list": [{"model_name": "bench", "litellm_params": deployment}]}))
        binary = self.python().parent / "litellm"
        options = ["--host", "127.0.0.1", "--port", str(self.port), "--num_workers", "1"]
        return [str(binary), "--config", str(config), *options]

    def environment(self) -> dict[str, str]:
        # Nothing of ours leaves the machine: the price list comes from the package.
        return {
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            "LITELLM_USE_CHAT_COMPLETIONS_URL_FOR_ANTHROPIC_MESSAGES": "True",  # chat, as here; else it uses responses
            "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true",  # no keys: the others check none either
            "DO_NOT_TRACK": "1",
        }
