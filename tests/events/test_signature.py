from __future__ import annotations

import base64

from hypothesis import given
from hypothesis import strategies as st

from proxy.events.signature import headers_of, sign
from tests.events.tools import SECRET, signature


def test_the_reference_vector_of_standard_webhooks() -> None:
    body, secret = b'{"test": 2432232314}', "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    signed = sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body, secret)
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@given(st.binary(max_size=200), st.binary(min_size=1, max_size=64), st.integers(0, 2**40))
def test_a_receiver_with_the_same_key_computes_the_same_signature(body: bytes, key: bytes, timestamp: int) -> None:
    secret = f"whsec_{base64.b64encode(key).decode()}"
    assert sign("evt_1", timestamp, body, secret) == signature("evt_1", str(timestamp), body, key)


def test_a_secret_that_is_no_base64_is_the_key_itself() -> None:
    assert sign("evt_1", 5, b"{}", "a plain-text") == signature("evt_1", "5", b"{}", b"a plain-text")


def test_every_part_is_signed() -> None:
    signed = {sign(*parts, SECRET) for parts in [("a", 1, b"x"), ("b", 1, b"x"), ("a", 2, b"x"), ("a", 1, b"y")]}
    assert len(signed) == 4


def test_without_a_secret_there_is_no_signature() -> None:
    assert headers_of("evt_1", 5, b"{}", "") == {"webhook-id": "evt_1", "webhook-timestamp": "5"}
    assert set(headers_of("evt_1", 5, b"{}", SECRET)) == {"webhook-id", "webhook-timestamp", "webhook-signature"}
