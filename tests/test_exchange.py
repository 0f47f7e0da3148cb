from __future__ import annotations

from proxy.errors import StreamTruncated
from proxy.identity import Client
from proxy.routing.access import ALL, access
from tests.observe.exchanges import settled


def test_without_authentication_everything_may_be_used() -> None:
    assert settled().access is ALL


def test_an_authenticated_client_uses_what_its_credential_allows() -> None:
    own = access(("gpt*",), ())
    assert settled(caller=Client("key:alice", access=own)).access is own


def test_labels_are_those_of_the_client_and_of_the_request() -> None:
    client = Client("key:alice", labels=(("team", "web"),))
    assert settled().labels == ()
    assert settled(caller=client).labels is client.labels
    assert settled(added_labels=(("a", "1"),)).labels == (("a", "1"),)
    added = (("a", "1"), ("team", "ops"))
    assert settled(caller=client, added_labels=added).labels == (("a", "1"), ("team", "web"))


def test_a_continued_stream_has_no_error() -> None:
    fault = StreamTruncated("The stream ended without its terminal event.")
    exchange = settled(outcome="broken", error=fault.code, fault=fault)
    exchange.forget_break()
    assert (exchange.outcome, exchange.error, exchange.fault) == ("", "", None)


def test_exchanges_do_not_share_their_attempts() -> None:
    one, two = settled(), settled()
    one.attempts.append(None)  # type: ignore[arg-type]
    assert two.attempts == []


def test_a_repr_shows_the_endpoint_and_the_outcome_but_no_content() -> None:
    assert repr(settled()) == "<Exchange req-1 chat/completions ok>"
    assert repr(settled(outcome="")) == "<Exchange req-1 chat/completions running>"
