"""Signatures, compared with botocore's own for the same request, and the places of keys."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import pytest
from botocore import auth
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from proxy.client.credentials.aws import KEPT, fetch
from proxy.client.credentials.base import CredentialFailed, UnsignedRequest
from proxy.config.provider_schema import CloudSettings

ACCESS, SECRET, TOKEN = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "session/+="
MANTLE = "bedrock-mantle.eu-west-1.api.aws"
NOW = 1_000.0


@pytest.fixture(autouse=True)
def fixed_time(monkeypatch: pytest.MonkeyPatch) -> None:
    moment = datetime.datetime(2026, 11, 28, 12, 0, 0, tzinfo=datetime.UTC)
    monkeypatch.setattr(auth, "get_current_datetime", lambda *_, **__: moment.replace(tzinfo=None))


@pytest.fixture(autouse=True)
def no_keys_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def settings(**more: Any) -> CloudSettings:
    return CloudSettings(**{"access_key_id": ACCESS, "secret_access_key": SECRET} | more)


def signed(request: UnsignedRequest, **more: Any) -> dict[str, str]:
    lines = fetch(settings(**more), {}, NOW).lines(request).decode().split("\r\n")
    return {name.lower(): value for name, _, value in (line.partition(": ") for line in lines) if name}


def botocores(request: UnsignedRequest, service: str, region: str, token: str | None = None) -> dict[str, str]:
    """Signed by botocore alone, from the whole body."""
    headers = {name: value for name, value in request.headers if name.lower() in ("host", "content-type")}
    body = b"".join(map(bytes, request.body))
    own = AWSRequest(request.method, f"https://{headers['Host']}{request.target}", headers, body)
    own.headers["X-Amz-Content-Sha256"] = SigV4Auth(Credentials("", ""), "", "").payload(own)
    SigV4Auth(Credentials(ACCESS, SECRET, token), service, region).add_auth(own)
    return {name.lower(): value for name, value in own.headers.items()}


def request(target: str = "/openai/v1/chat/completions", host: str = MANTLE, **more: Any) -> UnsignedRequest:
    headers = [
        ("Host", host),
        ("User-Agent", "sluice/1"),
        ("Content-Type", "application/json"),
        ("anthropic-beta", "a-1"),
        ("Content-Length", "10"),
    ]
    return UnsignedRequest(**{"method": "POST", "target": target, "headers": headers, "body": [b'{"a"', b":1}"]} | more)


@pytest.mark.parametrize(
    ("found", "service", "region"),
    [
        (request(), "bedrock-mantle", "eu-west-1"),
        (request("/anthropic/v1/messages?beta=true"), "bedrock-mantle", "eu-west-1"),
        (request("/a%20b/c:d?x=%2F&b=1&b=0&empty"), "bedrock-mantle", "eu-west-1"),
        (request(host="bedrock-runtime.us-east-1.amazonaws.com"), "bedrock", "us-east-1"),
        (request(host="bedrock-runtime-fips.us-gov-west-1.amazonaws.com:443"), "bedrock", "us-gov-west-1"),
        (request(host="vpce-1-a.bedrock-runtime.us-east-2.vpce.amazonaws.com"), "bedrock", "us-east-2"),
        (request(body=[]), "bedrock-mantle", "eu-west-1"),
        (request(body=[memoryview("é".encode() * 9)]), "bedrock-mantle", "eu-west-1"),
        (UnsignedRequest("GET", "/openai/v1/models", [("Host", MANTLE)]), "bedrock-mantle", "eu-west-1"),
    ],
)
@pytest.mark.parametrize("token", ["", TOKEN])
def test_a_signature_is_that_of_botocore(found: UnsignedRequest, service: str, region: str, token: str) -> None:
    own = botocores(found, service, region, token or None)
    lines = signed(found, session_token=token)
    assert lines.items() <= own.items()
    assert lines.keys() - {"x-amz-security-token"} == {"authorization", "x-amz-date", "x-amz-content-sha256"}
    assert lines.get("x-amz-security-token", "") == token


def test_headers_of_aws_are_signed_and_others_are_not() -> None:
    found = request(headers=[*request().headers, ("X-Amz-Team", "a")])
    names = signed(found)["authorization"].partition("SignedHeaders=")[2].partition(",")[0]
    assert names == "content-type;host;x-amz-content-sha256;x-amz-date;x-amz-team"


def test_configured_region_and_service_win() -> None:
    scope = signed(request(), region="us-west-2", service="bedrock")["authorization"].split("/")
    assert scope[2:4] == ["us-west-2", "bedrock"]


@pytest.mark.parametrize("profile", ["", "work"])
def test_keys_come_from_the_files_of_awss_tools(profile: str, tmp_path: Path) -> None:
    file = tmp_path / "mine"
    file.write_text(
        f"[default]\naws_access_key_id = AKDEFAULT\naws_secret_access_key = {SECRET}\n"
        f"[work]\naws_access_key_id = AKWORK\naws_secret_access_key = {SECRET}\n"
    )
    found = fetch(CloudSettings(credentials_file=str(file), profile=profile), {}, NOW)
    assert f"Credential={'AKWORK' if profile else 'AKDEFAULT'}/".encode() in found.lines(request())
    assert found.expires_at == NOW + KEPT


def test_keys_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    assert b"Credential=AKIDEXAMPLE/" in fetch(CloudSettings(), {}, NOW).lines(request())


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (CloudSettings(), "AWS: the default credentials: there are none; set apiKey, cloud.accessKeyId"),
        (CloudSettings(profile="none"), "AWS: profile none: The config profile (none) could not be found"),
    ],
)
def test_no_keys(found: CloudSettings, words: str) -> None:
    with pytest.raises(CredentialFailed) as caught:
        fetch(found, {}, NOW)
    assert str(caught.value).startswith(words)
