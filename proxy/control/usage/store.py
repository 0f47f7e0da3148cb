"""The ledger as pages read it: its own engine where ``database.readUrl`` names another database."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Final, Literal

from proxy.control.live import LiveConfig
from proxy.control.turns import QueryTurns
from proxy.database.health import Unreachable
from proxy.database.opening import LazyEngine
from proxy.errors import ClientFault, ConfigError, GatewayError

if TYPE_CHECKING:
    from proxy.control.usage.parameters import Question
    from proxy.database.engine import Engine
    from proxy.database.usage import Sums

_ELSEWHERE: Final = (
    "The ledger is in another database, as ledger.mode is events: ask a gateway that has the database of"
    " `sluice ledger consume`."
)

Asker = Literal["operator", "client"]


class LedgerDown(GatewayError):
    """The database does not answer."""

    status = 503
    code = "ledger_unavailable"


class UsageStore:
    """Raises ``LedgerDown``, and GatewayError (501) where there is no ledger.

    Clients wait for each other, and not for the operator, who does not wait for them.
    """

    def __init__(self, database: LazyEngine, live: LiveConfig) -> None:
        self._database = database
        self._live = live
        self._turns: dict[Asker, QueryTurns] = {"operator": QueryTurns("usage"), "client": QueryTurns("usage")}

    def turn(self, asker: Asker) -> AbstractAsyncContextManager[None]:
        """Hold it during all queries of a request. Raises Overloaded."""
        return self._turns[asker].turn()

    async def sums(self, question: Question, limit: int) -> list[Sums]:
        """At most ``limit`` groups; one without groups. Raises ClientFault if it would take too long."""
        from proxy.database.usage import MOST_ROWS, TooManyRows, UsageTable
        from proxy.database.usage_query import UsageQuery

        query = UsageQuery(question.groups, question.filters, question.start, question.end, question.zone)
        try:
            return await UsageTable(self._engine()).sums(query, limit)
        except TooManyRows as found:
            text = (
                f"from: there are {found.count:,} attempts in this period. By run or label at most {MOST_ROWS:,} can be"
            )
            text += " added up together with anything but owner, team, project and time: shorten it, leave that out, or"
            text += " filter by owner, model or run."
            raise ClientFault(text, param="from", code="period_too_long") from None
        except Unreachable as reason:
            raise LedgerDown("The database of the ledger does not answer.", retry_after=1, detail=str(reason)) from None

    def _engine(self) -> Engine:
        config = self._live.config
        if config.records_usage and not config.has_ledger:
            raise _no_ledger(_ELSEWHERE)
        if not config.has_ledger:
            raise _no_ledger("There is no ledger: set ledger.enabled and database.enabled to true, and restart.")
        try:
            return self._database.get()
        except ConfigError as error:
            raise _no_ledger(" ".join(error.mistakes)) from None


def _no_ledger(reason: str) -> GatewayError:
    return GatewayError(reason, status=501, code="no_ledger")
