"""TensorZero's Rust gateway, in the form that its Python package embeds, observability off."""

from __future__ import annotations

import re
from pathlib import Path

from tests.bench.child import Child
from tests.bench.dialects import CHAT
from tests.bench.peers.base import Peer, own_environment, version_in

REQUIREMENT = "tensorzero==2026.6.0"
CONFIG = """
[gateway]
observability.enabled = false

[models.bench]
routing = ["mock"]

[models.bench.providers.mock]
type = "openai"
model_name = "bench"
api_base = "{origin}/v1/"
api_key_location = "none"
"""


class TensorZero(Peer):
    name = "tensorzero"
    path = "/openai/v1/chat/completions"
    model = "tensorzero::model_name::bench"
    rewrites = CHAT.name  # it decodes every event and writes its own

    def python(self) -> Path:
        return own_environment("tensorzero", REQUIREMENT)

    def version(self) -> str:
        return version_in(self.python(), "tensorzero")

    def command(self) -> list[str]:
        config = self.folder / "tensorzero.toml"
        config.write_text(CONFIG.format(origin=self.origin))
        program = Path(__file__).with_name("tensorzero_gateway.py")
        return [str(self.python()), "-P", str(program), str(config)]  # -P: this file is not the package of its name

    def listening(self, child: Child) -> int:
        # It takes no address; it prints the one that it took.
        found = re.findall(r"^http://127\.0\.0\.1:(\d+)/", child.log.read_text(errors="replace"), re.MULTILINE)
        self.port = int(found[-1]) if found else 0
        return self.port
