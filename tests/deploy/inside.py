"""What the tests of the image run inside its containers, and how they read the output."""

from __future__ import annotations

import json
import re
from typing import Any

from tests.deploy.engine import ROOT, Output

CHAT = "/v1/chat/completions"
ASK: dict[str, Any] = {"model": "demo", "messages": [{"role": "user", "content": "Hello there"}]}

# A client in the image's Python: prints the body of a streamed answer. The first argument is a unix socket, or "".
CLIENT = f"""
import http.client, json, socket, sys
connection = http.client.HTTPConnection("127.0.0.1", 8080, timeout=60)
if sys.argv[1]:
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.connect(sys.argv[1])
body = json.dumps({ASK | {"stream": True}!r})
connection.request("POST", "{CHAT}", body, {{"Content-Type": "application/json"}})
answer = connection.getresponse()
print(answer.status, answer.read().decode())
"""

# Prints the distributions of a Python with their versions.
LIST = (
    "import importlib.metadata as m, json, re;"
    "print(json.dumps({re.sub('[-_.]+', '-', d.name).lower(): d.version for d in m.distributions()}))"
)


def installed(sbom: str) -> dict[str, str]:
    """Versions by name of the components of a CycloneDX document."""
    components = json.loads(sbom)["components"]
    return {re.sub(r"[-_.]+", "-", each["name"]).lower(): each["version"] for each in components}


def readme_curl() -> str:
    """The first example of the README."""
    found = re.search(r"```sh\n(curl -N .*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert found is not None
    return found[1]


def is_streamed(output: Output) -> None:
    """What CLIENT prints of a whole stream."""
    assert output.text.startswith("200 data: "), output.text
    assert output.text.rstrip().endswith("data: [DONE]")
