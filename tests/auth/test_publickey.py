"""Which keys verify tokens, and by which algorithm."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448
from trustme import CA

from proxy.auth import publickey
from proxy.errors import ConfigError
from tests.auth.tokens import pem, pem_file, private, private_pem, weak_rsa


def mistake(folder: Path, content: bytes) -> str:
    with pytest.raises(ConfigError) as caught:
        publickey.read(pem_file(folder, content), "auth.jwt.publicKeyFile")
    (line,) = caught.value.mistakes
    assert line.startswith(f"auth.jwt.publicKeyFile: {folder}/key.pem: ")
    return line.partition("key.pem: ")[2]


@pytest.mark.parametrize("kind", publickey.ASYMMETRIC)
def test_the_algorithm_is_derived_from_the_public_key(kind: str, tmp_path: Path) -> None:
    algorithm, key = publickey.read(pem_file(tmp_path, pem(private(kind))), "x")
    assert algorithm == kind
    assert key == private(kind).public_key()


def test_a_certificate_is_accepted(tmp_path: Path) -> None:
    certificate = CA().issue_cert("id.example.org").cert_chain_pems[0].bytes()
    assert publickey.read(pem_file(tmp_path, certificate), "x")[0] == "ES256"


def test_a_private_key_is_rejected_with_an_explanation(tmp_path: Path) -> None:
    assert mistake(tmp_path, private_pem(private("ES256"))).startswith("holds a private key; ")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\x00",
        b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
        b"-----BEGIN CERTIFICATE-----\n",
    ],
)
def test_an_invalid_key_is_reported_without_its_content(content: bytes, tmp_path: Path) -> None:
    assert mistake(tmp_path, content) == "holds no public key in PEM form"


def test_short_keys_and_keys_of_other_kinds_are_rejected(tmp_path: Path) -> None:
    for key in (weak_rsa(), ec.generate_private_key(ec.SECP384R1()), ed448.Ed448PrivateKey.generate()):
        assert "RSA of at least 2048 bits, the curve P-256, or Ed25519" in mistake(tmp_path, pem(key))


def test_a_private_key_does_not_verify() -> None:
    assert publickey.algorithm_of(private("RS256")) is None
    assert publickey.algorithm_of(b"bytes") is None


def test_a_missing_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^auth\.jwt\.publicKeyFile: .*/none: cannot be read: No such file"):
        publickey.read(str(tmp_path / "none"), "auth.jwt.publicKeyFile")


@pytest.mark.parametrize("missing", ["jwt", "cryptography"])
def test_a_missing_extra_is_named(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ConfigError, match=r"sluice-gateway\[jwt\]") as caught:
        publickey.require_library()
    assert len(caught.value.mistakes) == 1
