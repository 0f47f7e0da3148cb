"""What JetStream has for an exchange: streams, and durable consumers for which events are kept.

https://docs.nats.io/nats-concepts/jetstream
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

ID_HEADER: Final = "Nats-Msg-Id"
"""A stream stores no second message with the same value within its ``duplicate_window``."""
LEDGER_HEADER: Final = "Sluice-Ledger"  # "1": ``sluice ledger consume`` writes it into the database
EVENT_HEADER: Final = "Sluice-Event"  # the id of the event
TYPE_HEADER: Final = "Sluice-Type"
CONTENT_HEADER: Final = "Content-Type"
REASON_HEADER: Final = "Sluice-Reason"  # of a dead letter
ORIGIN_HEADER: Final = "Sluice-Subject"  # where a dead letter came from

USAGE_CONSUMER: Final = "billing_usage"
ANALYTICS_CONSUMER: Final = "analytics_events"
LEDGER_CONSUMER: Final = "sluice_ledger"

REPLICAS: Final = 3  # in a cluster: a message survives the loss of a server
ACK_SECS: Final = 30  # then a message that was not accepted is sent to a subscriber again
MOST_UNACCEPTED: Final = 5000  # of one consumer, by all its subscribers together
WINDOW_SECS: Final = 120  # in which repeated messages are known
_NANOSECONDS: Final = 1_000_000_000


class StreamNames(Struct, frozen=True):
    """Names that derive from the exchange. Subjects of events begin with ``prefix``; ``dead`` is a subject, too."""

    prefix: str
    stream: str
    dead: str
    dead_stream: str

    def subject(self, type_: str) -> str:
        return f"{self.prefix}.{type_}"

    def consumers(self, *, ledger: bool) -> dict[str, str]:
        """Subject by name of each durable consumer. ``ledger``: with that of ``sluice ledger consume``."""
        usage = self.subject("ai_usage")
        found = {USAGE_CONSUMER: usage, ANALYTICS_CONSUMER: self.subject(">")}
        return found | {LEDGER_CONSUMER: usage} if ledger else found


def stream_names(exchange: str) -> StreamNames:
    """For ``sluice.events``: the streams ``sluice_events`` and ``sluice_dead``. Streams cannot have a full stop."""
    rest = exchange.removesuffix(".events")
    # Not below the exchange: two streams must not have the same subject.
    dead = f"{rest}.dead" if rest != exchange else f"{exchange}-dead"
    return StreamNames(exchange, exchange.replace(".", "_"), dead, dead.replace(".", "_"))


def event_stream(names: StreamNames, replicas: int) -> dict[str, object]:
    """The configuration of the stream of events: it keeps each until all durable consumers have accepted it."""
    return _stream(names.stream, names.subject(">"), "interest", replicas)


def dead_stream(names: StreamNames, replicas: int) -> dict[str, object]:
    """The configuration of the stream of dead letters: it keeps them until they are sent again or deleted."""
    return _stream(names.dead_stream, names.dead, "limits", replicas)


def _stream(name: str, subject: str, retention: str, replicas: int) -> dict[str, object]:
    return {
        "name": name,
        "subjects": [subject],
        "retention": retention,
        "storage": "file",
        "discard": "new",  # a full stream refuses events, which then wait in the outbox; "old" would lose them
        "num_replicas": replicas,
        "duplicate_window": WINDOW_SECS * _NANOSECONDS,
    }


def durable_consumer(stream: str, name: str, subject: str) -> dict[str, object]:
    """The request for a durable pull consumer that begins with the first event of the stream."""
    config = {
        "durable_name": name,
        "filter_subject": subject,
        "deliver_policy": "all",
        "ack_policy": "explicit",
        "ack_wait": ACK_SECS * _NANOSECONDS,
        "max_ack_pending": MOST_UNACCEPTED,
    }
    return {"stream_name": stream, "config": config}


def next_request(most: int, seconds: float) -> dict[str, int]:
    """The request for up to so many messages, which the server forgets after these seconds."""
    return {"batch": most, "expires": int(seconds * _NANOSECONDS)}
