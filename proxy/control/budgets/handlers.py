"""The routes of budgets: GET /admin/budgets for the operator, GET /billing/budgets for each client."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from msgspec import Meta, Struct

from proxy.budgets.book import Book
from proxy.control.budgets.standing import BudgetSurvey, StandingFilter
from proxy.control.budgets.views import BudgetsView, BudgetViews, OwnBudgetList
from proxy.control.http.operation import Operation
from proxy.control.http.requests import parse_query
from proxy.control.http.responses import send_json
from proxy.control.http.router import ControlRoute
from proxy.errors import ClientFault
from proxy.identity import Client
from proxy.server.request import Request
from proxy.wire.attribution import labels_of, run_of

NUL = "\0"


class BudgetParameters(Struct, frozen=True, forbid_unknown_fields=True):
    """``budget``: the name of one. ``subject``: part of it, such as of an owner's name. ``limit``: so many counters of
    each budget."""

    budget: Annotated[str, Meta(max_length=40)] = ""
    subject: Annotated[str, Meta(max_length=400)] = ""
    limit: Annotated[int, Meta(ge=1, le=1000)] = 100


class BudgetHandlers:
    def __init__(self, book: Book, survey: BudgetSurvey) -> None:
        self._book = book
        self._survey = survey

    def routes(self) -> Sequence[ControlRoute]:
        every = Operation(
            "operator", "Show the budgets, and what is spent, reserved and left", BudgetsView, query=BudgetParameters
        )
        own = Operation(
            "billing",
            "What the client's own budgets have left",
            OwnBudgetList,
            errors=(400, 503),
            notes="With the headers of a call (`x-router-run`, `x-router-labels`) also of its run and its labels.",
        )
        return (
            ControlRoute("GET", "/admin/budgets", "admin", self.show, every),
            ControlRoute("GET", "/billing/budgets", "client", self.own, own),
        )

    async def show(self, request: Request) -> None:
        """GET /admin/budgets?budget=&subject=&limit=."""
        given = parse_query(request, BudgetParameters)
        if NUL in given.subject:
            raise ClientFault("subject: it has a NUL character.", param="subject", code="invalid_value")
        rules = self._book.rules
        found, missing = await self._survey.survey(StandingFilter(given.budget, given.subject, given.limit))
        send_json(request, 200, self._views().all(found, missing, balances=rules.balances))

    async def own(self, request: Request, client: Client) -> None:
        """GET /billing/budgets: the budgets that a call with the same headers would have."""
        book, headers = self._book, request.headers
        counters = book.of_client(client, labels_of(headers), run_of(headers), book.wall())
        await book.seed(counters)
        send_json(request, 200, self._views().own(counters))

    def _views(self) -> BudgetViews:
        rules = self._book.rules
        return BudgetViews(rules.currency, rules.rate, self._book.wall())
