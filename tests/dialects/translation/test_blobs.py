"""Blobs as clients get them and send them back."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.dialects.translation import blobs
from proxy.dialects.translation.conversation import Blob, Reasoning

ISSUERS = st.text("abcdef0123456789", max_size=8)
KINDS = st.sampled_from(["signature", "redacted", "encrypted"])


@given(st.builds(Blob, st.text(), KINDS, ISSUERS.filter(bool)), st.text())
def test_a_client_returns_the_blob_and_the_text(blob: Blob, text: str) -> None:
    assert blobs.unpack(blobs.pack(blob, "other", text)) == Reasoning(text, blob)


@given(st.text(), ISSUERS)
def test_a_text_survives_without_a_blob(text: str, issuer: str) -> None:
    assert blobs.unpack(blobs.pack(None, issuer, text)) == Reasoning(text)


@pytest.mark.parametrize("kind", ["signature", "redacted", "encrypted"])
def test_a_blob_without_an_issuer_is_the_provider_s(kind: str) -> None:
    assert blobs.unpack("EqQB.x", kind) == Reasoning(blob=Blob("EqQB.x", kind))  # type: ignore[arg-type]


@given(st.text(), ISSUERS.filter(bool))
def test_the_signature_of_a_call_is_that_of_no_reasoning(data: str, issuer: str) -> None:
    packed = blobs.pack_call(Blob(data), issuer)
    assert blobs.unpack_call(packed) == Blob(data, "signature", issuer)
    assert blobs.unpack(packed) == Reasoning()


@given(st.text() | st.builds(blobs.pack, st.builds(Blob, st.text(), KINDS) | st.none(), ISSUERS, st.text()))
def test_no_other_value_is_the_signature_of_a_call(value: str) -> None:
    assert blobs.unpack_call(value) is None


@given(st.text() | st.text().map(lambda rest: blobs.PREFIX + rest))
@example("sl1.issuer.t_w.s")  # the text is base64, but not UTF-8
@example("sl1.issuer.t\xff.s")
def test_anything_that_a_client_sends_is_read(value: str) -> None:
    assert isinstance(blobs.unpack(value), Reasoning)
