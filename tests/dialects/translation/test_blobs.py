"""Blobs as clients get them and send them back."""

from __future__ import annotations

from typing import Literal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.dialects.translation.blobs import PREFIX, pack, pack_call, unpack, unpack_call
from proxy.dialects.translation.conversation import Blob, Reasoning

Kind = Literal["signature", "redacted", "encrypted"]
KINDS: tuple[Kind, ...] = ("signature", "redacted", "encrypted")
ISSUER = "5dd0ab0dcbc3"

anything = st.text(st.characters())  # half surrogate pairs too, which a model's answer may have
blobs = st.builds(Blob, anything, st.sampled_from(KINDS))


@given(blobs, anything)
def test_a_blob_and_the_text_beside_it_come_back(blob: Blob, text: str) -> None:
    found = unpack(pack(blob, ISSUER, text))
    assert found == Reasoning(text, Blob(blob.data, blob.kind, ISSUER))


@given(anything)
def test_a_text_alone_comes_back(text: str) -> None:
    assert unpack(pack(None, ISSUER, text)) == Reasoning(text)


@given(blobs, anything)
def test_what_a_client_gets_can_be_sent_in_json_and_in_urls(blob: Blob, text: str) -> None:
    packed = pack(blob, ISSUER, text)
    assert packed.startswith(f"{PREFIX}{ISSUER}.")
    assert packed.removesuffix(blob.data).isascii()


def test_a_blob_that_came_through_another_translation_keeps_its_issuer() -> None:
    assert pack(Blob("x", "encrypted", "first"), "second") == "sl1.first.ex"


@given(st.text(st.characters()).filter(lambda value: not value.startswith(PREFIX)), st.sampled_from(KINDS))
def test_any_other_value_is_a_blob_of_an_unknown_issuer(value: str, kind: Kind) -> None:
    assert unpack(value, kind) == Reasoning(blob=Blob(value, kind) if value else None)


@given(anything | st.text("sl1.tre_-=ABé\ud800"), st.sampled_from(KINDS))
@example(".t_w", "signature")  # base64 of a byte that is no UTF-8
@example("x.té.sdata", "signature")
def test_what_a_hostile_client_sends_never_raises(rest: str, kind: Kind) -> None:
    found = unpack(PREFIX + rest, kind)
    assert isinstance(found.text, str)
    assert found.blob is None or found.blob.kind in KINDS


@pytest.mark.parametrize("broken", ["x.t_w.sdata", "x.té.sdata", "x.tA.sdata"])
def test_a_text_that_cannot_be_read_is_left_out(broken: str) -> None:
    assert unpack(PREFIX + broken) == Reasoning(blob=Blob("data", "signature", "x"))


@given(anything)
def test_the_signature_of_a_call_is_that_of_no_reasoning(data: str) -> None:
    packed = pack_call(Blob(data), ISSUER)
    assert unpack_call(packed) == Blob(data, "signature", ISSUER)
    assert unpack(packed) == Reasoning()


@given(anything | st.builds(pack, blobs | st.none(), st.just(ISSUER), anything))
def test_no_other_value_is_the_signature_of_a_call(value: str) -> None:
    assert unpack_call(value) is None
