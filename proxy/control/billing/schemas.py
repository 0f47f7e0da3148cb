"""Request bodies and query of the routes of balances."""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta, Struct

LONGEST_KEY: Final = 255  # characters of an Idempotency-Key
MOST_OFFSET: Final = 100_000  # transactions, which the database reads before the first that is shown

UserId = Annotated[str, Meta(min_length=1, max_length=200)]

IDEMPOTENCY_HEADER: Final = "Idempotency-Key"
IDEMPOTENCY: Final = (
    {"type": "string", "minLength": 1, "maxLength": LONGEST_KEY, "pattern": "^[!-~]+$"},
    "A new key for each transaction. A request with the same key and body gets the first one's answer again.",
)


class NewTransaction(Struct, forbid_unknown_fields=True):
    """``user_id``: the owner of keys, or the subject of tokens; of a key without an owner ``key:`` and its ID. A
    missing account is opened. ``amount``: in the currency of balances, with at most nine decimals; a negative one
    lowers the balance. ``description``: without one, "Top-up" or "Correction" by the sign.
    """

    user_id: UserId
    amount: float
    description: Annotated[str, Meta(min_length=1, max_length=500)] | None = None

    @property
    def text(self) -> str:
        """What the transaction is described as."""
        return self.description or ("Correction" if self.amount < 0 else "Top-up")


class TransactionParameters(Struct, frozen=True, forbid_unknown_fields=True):
    """``user_id``: whose; the admin must name it, and a client may name itself only. ``offset``: how many of the newest
    to leave out.
    """

    limit: Annotated[int, Meta(ge=1, le=1000)] = 100
    offset: Annotated[int, Meta(ge=0, le=MOST_OFFSET)] = 0
    user_id: UserId | None = None


class AccountParameters(Struct, frozen=True, forbid_unknown_fields=True):
    """``after``: ``user_id`` of the last account on the previous page."""

    limit: Annotated[int, Meta(ge=1, le=1000)] = 100
    after: str = ""
