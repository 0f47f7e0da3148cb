"""What of a query goes on to a provider."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import ClientFault
from proxy.server.query import check, forwarded


@pytest.mark.parametrize(
    "query", ["_method=DELETE", "a=1&_METHOD=PUT", "a;_method=x", "%5fmethod=x", "%255fmethod=x", "x-http-method-override=x",
              "X_HTTP_Method=x", "methodOverride=x", "_httpMethod=PUT", "_method[]=x"],
)  # fmt: skip
def test_a_query_that_replaces_the_method_is_refused(query: str) -> None:
    for opaque in (False, True):
        with pytest.raises(ClientFault) as caught:
            check(query, opaque=opaque)
        assert (caught.value.status, caught.value.code) == (400, "method_in_query")


def test_a_fragment_in_a_query_is_refused() -> None:
    with pytest.raises(ClientFault) as caught:
        check("a=1#/../b", opaque=True)
    assert (caught.value.status, caught.value.code) == (400, "bad_query")


def test_the_model_in_a_query_is_refused_for_calls_only() -> None:
    check("model=x", opaque=True)
    with pytest.raises(ClientFault) as caught:
        check("a=1&MODEL=x", opaque=False)
    assert caught.value.code == "model_in_query"


@pytest.mark.parametrize("query", ["", "method=x", "payment_method=card", "a=_method", "models=1"])
def test_any_other_query_passes(query: str) -> None:
    check(query, opaque=False)


@pytest.mark.parametrize(
    "secret",
    ["key=x", "api_key=x", "api-key=x", "apikey=x", "API_KEY=x", "ApiKey=x", "access_token=x", "token=x", "auth=x",
     "Authorization=Bearer+x", "auth_token=x", "%6bey=x", "%4B%45%59=x", "api%5Fkey=x", "key", "key=", "+key=x", "key[]=x",
     "client_secret=x", "password=x", "sig=x", "X-Amz-Signature=x", "subscription-key=x", "X-Goog-Api-Key=x",
     "x-api-key=x", "jwt=x", "key=a=b", "refresh_token=x", "oauth_token=x", "oauth=x", "secret_key=x", "litellm-key=x",
     "openai_api_key=x", "private.key=x", "%256bey=x", "pwd=x", "client_assertion=x", "user_token=x", "hmac=x",
     "whatever=Bearer%20abc", "x=sk-abcdefghijklmnopqrst", "x=eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NSJ9.abc",
     "x=AIzaSyA1234567890abcdefghijklmnopqrstu"],
)  # fmt: skip
def test_a_credential_is_taken_out_of_a_query(secret: str) -> None:
    assert forwarded(secret) == ""
    assert forwarded(f"a=1&{secret}&b=2") == "a=1&b=2"
    assert forwarded(f"{secret}&b=2") == "b=2"
    assert forwarded(f"a=1&{secret}") == "a=1"
    assert forwarded(f"a=1;{secret}") == "a=1"
    assert forwarded(f"{secret}&{secret}") == ""


@pytest.mark.parametrize(
    "query",
    ["", "a", "a=", "=", "&", "&&a=1&&", "limit=20&after=%66ile", "q=%zz+%C3%A4;x", "author=me", "keys=1", "pageToken=x",
     "page_token=x", "max_tokens=1", "monkey=1", "signal=1", "sigma=2", "next_token=x", "sort_key=x", "continuationToken=x", "x=sk-1", "session_id=x", "method=x", "a=key", "a=token%3Dx", "tokens=3", "keyword=x"],
)  # fmt: skip
def test_any_other_query_is_kept_byte_for_byte(query: str) -> None:
    assert forwarded(query) == query


@given(
    st.lists(st.sampled_from(["a=1", "key=s3", "", "b", "token=s3", "x=%26", "&", ";", "c;api_key=s3"])).map("&".join)
)
def test_a_query_is_the_same_when_it_is_cleaned_twice(query: str) -> None:
    once = forwarded(query)
    assert forwarded(once) == once
    assert "s3" not in once
