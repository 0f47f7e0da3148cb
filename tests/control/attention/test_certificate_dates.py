"""The dates of certificates that the package cryptography made."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from functools import cache

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from proxy.control.attention.certificate_dates import Validity, validity_of

KEY = ec.generate_private_key(ec.SECP256R1())
NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "it")])
EARLIEST, LATEST = datetime(1951, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
TIMES = st.integers(int(EARLIEST.timestamp()), int(LATEST.timestamp()))


def certificate(begins: int, ends: int) -> bytes:
    """In DER."""
    builder = x509.CertificateBuilder(NAME, NAME, KEY.public_key(), x509.random_serial_number())
    first = datetime(1970, 1, 1, tzinfo=UTC)
    builder = builder.not_valid_before(first + timedelta(seconds=begins))
    builder = builder.not_valid_after(first + timedelta(seconds=ends))
    return builder.sign(KEY, SHA256()).public_bytes(Encoding.DER)


@cache
def example() -> bytes:
    return certificate(0, 86400)


@given(st.tuples(TIMES, TIMES).map(sorted))
def test_the_dates_are_those_of_the_certificate(times: list[int]) -> None:
    begins, ends = times
    assert validity_of(ssl.DER_cert_to_PEM_cert(certificate(begins, ends))) == Validity(begins, ends)


def test_of_a_chain_the_first_to_end_counts() -> None:
    chain = [ssl.DER_cert_to_PEM_cert(certificate(0, ends)) for ends in (900, 300, 600)]
    assert validity_of("a comment\n" + "".join(chain)) == Validity(0, 300)


def test_text_without_a_certificate_has_no_dates() -> None:
    assert validity_of("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n") is None


@given(st.data())
def test_a_broken_certificate_is_a_value_error_or_has_some_dates(data: st.DataObject) -> None:
    der = bytearray(example())
    for _ in range(data.draw(st.integers(1, 4))):
        der[data.draw(st.integers(0, len(der) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(der[: data.draw(st.integers(1, len(der)))])
    try:
        found = validity_of(ssl.DER_cert_to_PEM_cert(cut))
    except ValueError:
        return
    assert isinstance(found, Validity)


@pytest.mark.parametrize("text", ["-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----", ""])
def test_no_base64_is_a_value_error_or_nothing(text: str) -> None:
    try:
        assert validity_of(text) is None
    except ValueError:
        assert text
