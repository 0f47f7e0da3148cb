"""Scripted clouds: Google's token server and Vertex, and Bedrock, which verifies AWS's signatures.

Each refuses what the cloud refuses. Signatures are verified here from the description of the algorithm, without
botocore: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, parse_qsl, quote, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.support.answers import json_answer
from tests.support.steps import Script
from tests.support.upstream import Request, Upstream

AUDIENCE: Final = "https://oauth2.googleapis.com/token"  # google-auth says so, wherever the token server is
EMAIL: Final = "sluice@my-project.iam.gserviceaccount.com"
PROJECT: Final = "/v1/projects/my-project/locations/europe-west4"
MESSAGE: Final = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-up",
    "content": [{"type": "text", "text": "Hi"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 10, "output_tokens": 2},
}
CONTENT: Final = {
    "candidates": [{"content": {"parts": [{"text": "Hi"}], "role": "model"}, "finishReason": "STOP", "index": 0}],
    "usageMetadata": {"promptTokenCount": 4, "candidatesTokenCount": 2, "totalTokenCount": 6},
}
CHAT: Final = {
    "id": "c",
    "object": "chat.completion",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}],
}


@cache
def _key() -> RSAPrivateKey:
    return generate_private_key(public_exponent=65537, key_size=2048)


def service_account(folder: Path, token_server: Upstream, **changes: str) -> str:
    """Write the key file of a service account, whose tokens ``token_server`` issues. Returns its path."""
    pem = _key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    content = {
        "type": "service_account",
        "project_id": "my-project",
        "private_key_id": "1",
        "private_key": pem,
        "client_email": EMAIL,
        "token_uri": f"{token_server.origin}/token",
    }
    path = folder / "service-account.json"
    path.write_text(json.dumps(content | changes))
    return str(path)


class TokenServer:
    """Issues ``token-1``, ``token-2``, ... for signed assertions (RFC 7523). ``lives``: seconds until they expire."""

    def __init__(self, up: Upstream) -> None:
        self.lives = 3600
        self.issued = 0
        self.refuses = False
        up.on(self.answer)

    def answer(self, request: Request) -> Script:
        form = parse_qs(request.body.decode())
        if self.refuses or form["grant_type"] != ["urn:ietf:params:oauth:grant-type:jwt-bearer"]:
            return json_answer({"error": "invalid_grant", "error_description": "Invalid JWT Signature."}, 400)
        claims = jwt.decode(form["assertion"][0], _key().public_key(), algorithms=["RS256"], audience=AUDIENCE)
        assert claims["iss"] == EMAIL
        assert claims["scope"] == "https://www.googleapis.com/auth/cloud-platform"
        self.issued += 1
        token = {"access_token": f"token-{self.issued}", "expires_in": self.lives, "token_type": "Bearer"}
        return json_answer(token)


def _google_error(status: int, word: str, message: str) -> Script:
    return json_answer({"error": {"code": status, "message": message, "status": word}}, status)


class VertexServer:
    """``valid``: the tokens that it accepts."""

    def __init__(self, up: Upstream, *valid: str) -> None:
        self.valid = set(valid)
        up.on(self.answer)

    def answer(self, request: Request) -> Script:
        url = urlsplit(request.target)
        token = (request.header("authorization") or "").removeprefix("Bearer ")
        if token not in self.valid and request.header("x-goog-api-key") not in self.valid:
            return _google_error(401, "UNAUTHENTICATED", "Request had invalid authentication credentials.")
        for name, _ in parse_qsl(url.query):
            if name not in ("alt", "pageSize", "pageToken"):
                return _google_error(400, "INVALID_ARGUMENT", f'Unknown name "{name}": Cannot bind query parameter.')
        if url.path == "/v1beta1/publishers/google/models":
            return json_answer({"publisherModels": [{"name": "publishers/google/models/gemini-up"}]})
        publisher = re.fullmatch(PROJECT + r"/publishers/(\w+)/models/([^/:]+):(\w+)", url.path)
        if publisher is None:
            return _google_error(404, "NOT_FOUND", "The requested URL was not found on this server.")
        return self._claude(request, *publisher.groups()) if publisher[1] == "anthropic" else json_answer(CONTENT)

    def _claude(self, request: Request, _: str, model: str, action: str) -> Script:
        body = request.json
        if body.get("anthropic_version") not in ("vertex-2023-10-16", "2026-10-21"):
            return _google_error(400, "INVALID_ARGUMENT", "anthropic_version: Field required")
        if model == "count-tokens":
            assert (action, body["model"]) == ("rawPredict", "claude-up")
            return json_answer({"input_tokens": 12})
        if "model" in body:
            return _google_error(400, "INVALID_ARGUMENT", "model: Extra inputs are not permitted")
        if action != ("streamRawPredict" if body.get("stream") else "rawPredict"):
            return _google_error(400, "INVALID_ARGUMENT", f"{action} does not fit stream")
        return message_stream() if body.get("stream") else json_answer(MESSAGE)


def message_stream() -> Script:
    from tests.support.answers import sse_answer

    empty = MESSAGE | {"content": [], "stop_reason": None}
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": empty},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi"}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}},
        {"type": "message_stop"},
    ]
    return sse_answer(*(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in events))


_AUTHORIZATION: Final = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/([^/]+)/aws4_request, "
    r"SignedHeaders=([a-z0-9;-]+), Signature=([0-9a-f]{64})"
)


class BedrockServer:
    """``keys``: secret keys by access key. ``scope``: service and region. ``token``: of a session. ``api_key``: a bearer.

    ``body`` of its answers by the end of the path.
    """

    def __init__(self, up: Upstream, *, service: str, region: str, keys: Mapping[str, str], token: str = "") -> None:
        self.service = service
        self.region = region
        self.keys = keys
        self.token = token
        self.api_key = ""
        up.on(self.answer)

    def answer(self, request: Request) -> Script:
        if self.api_key and request.header("authorization") == f"Bearer {self.api_key}":
            return self._served(request)
        complaint = self._complaint(request)
        if complaint:
            return json_answer({"message": complaint}, 403)
        return self._served(request)

    def _served(self, request: Request) -> Script:
        path = urlsplit(request.target).path
        if path.endswith("/models"):
            return json_answer({"data": [{"id": "gpt-up"}]})
        if path == "/anthropic/v1/messages":
            return json_answer(MESSAGE)
        if path == "/openai/v1/chat/completions":
            return json_answer(CHAT)
        return json_answer({"message": "Unknown path"}, 404)

    def _complaint(self, request: Request) -> str:
        found = _AUTHORIZATION.fullmatch(request.header("authorization") or "")
        if found is None:
            return "Missing Authentication Token"
        access_key, day, region, service, names, signature = found.groups()
        if access_key not in self.keys or (self.token and request.header("x-amz-security-token") != self.token):
            return "The security token included in the request is invalid."
        if (service, region) != (self.service, self.region):
            return f"Credential should be scoped to a valid region, not {service}/{region}."
        date = request.header("x-amz-date") or ""
        signed = names.split(";")
        required = {name.lower() for name, _ in request.headers if name.lower().startswith("x-amz-")}
        if not date.startswith(day) or not {"host", "content-type"} & set(signed) or not required <= set(signed):
            return "Signature does not cover the required headers."
        if sha256(bytes(request.body)) != request.header("x-amz-content-sha256"):
            return "The provided 'x-amz-content-sha256' header does not match what was computed."
        expected = _signature(self.keys[access_key], request, signed, date, day, region, service)
        if not hmac.compare_digest(expected, signature):
            return "The request signature we calculated does not match the signature you provided."
        return ""


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _signature(secret: str, request: Request, signed: list[str], date: str, day: str, region: str, service: str) -> str:
    url = urlsplit(request.target)
    query = "&".join(
        sorted(f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}" for name, value in parse_qsl(url.query, True))
    )
    canonical = "\n".join(
        [
            request.method,
            quote(url.path, safe="/-_.~"),
            query,
            *(f"{name}:{' '.join((request.header(name) or '').split())}" for name in signed),
            "",
            ";".join(signed),
            request.header("x-amz-content-sha256") or "",
        ]
    )
    scope = f"{day}/{region}/{service}/aws4_request"
    to_sign = f"AWS4-HMAC-SHA256\n{date}\n{scope}\n{sha256(canonical.encode())}"
    key = f"AWS4{secret}".encode()
    for part in (day, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.digest(key, to_sign.encode(), "sha256").hex()
