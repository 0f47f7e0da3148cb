"""Requests without a body, for services. Their answers are those of chats."""

from __future__ import annotations

from tests.bench.dialects import DIALECTS
from tests.bench.traffic import Traffic

NAME = "get"


class Gets(Traffic):
    """GET requests. A header says what is wanted, where other traffic has the body."""

    def __init__(self) -> None:
        self.name = NAME
        self.path = "/files/{model}"

    def plain_request(self, path: str, model: str, number: int, size: int = 0) -> bytes:
        lines = (
            f"GET {path.format(model=model)} HTTP/1.1",
            "Host: 127.0.0.1",
            "User-Agent: bench/1.0",
            "Accept: application/json",
            "Accept-Encoding: gzip, deflate",
            "Authorization: Bearer sk-bench",
            f"X-Bench: bench|n|{number:08d}|",
        )
        return "\r\n".join(lines).encode() + b"\r\n\r\n"


GETS = Gets()
TRAFFIC: dict[str, Traffic] = {**DIALECTS, NAME: GETS}
