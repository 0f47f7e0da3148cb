"""Send one large chat request and print the seconds to its response, in a separate process that blocks no other."""

from __future__ import annotations

import json
import socket
import sys
from time import monotonic

from tests.bench.dialects import CHAT

PIECE = 262_144


def body(model: str, size: int) -> bytes:
    """Exactly ``size`` bytes of a chat request with many long messages, escapes and all."""
    text = 'He said: "A sluice is a gate for water."\n\tÜber den Fluss — 水門 🚪\n' * 1200
    messages = [{"role": "user", "content": "bench|n|00000001| Please read this."}]
    request = {"model": model, "messages": messages, "stream": False}
    one = {"role": "user", "content": text}
    share = len(json.dumps(one)) + 2
    messages.extend([one] * ((size - 1000) // share))
    messages.append({"role": "user", "content": ""})
    messages[-1]["content"] = "x" * (size - len(json.dumps(request)))
    return json.dumps(request).encode()


def upload(port: int, path: str, model: str, size: int) -> float:
    """Seconds from the first byte to the complete response; raises OSError or ValueError otherwise."""
    request = CHAT.head(path, size) + body(model, size)
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        began = monotonic()
        for at in range(0, len(request), PIECE):
            connection.sendall(request[at : at + PIECE])
        answer = b""
        while b"@00000001;" not in answer:
            data = connection.recv(65_536)
            if not data:
                break
            answer += data
        took = monotonic() - began
    if not answer.startswith(b"HTTP/1.1 200") or b"@00000001;" not in answer:
        raise ValueError(f"answered {answer[:600]!r}")
    received = int(answer.split(b'"prompt_tokens":')[1].split(b",")[0])
    if abs(received - size) > 200:
        raise ValueError(f"{received} of {size} bytes arrived")
    return took


if __name__ == "__main__":
    try:
        print(upload(int(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])))
    except (OSError, ValueError) as error:
        print(error)
        sys.exit(1)
