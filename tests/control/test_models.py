"""The models for the dashboard's form."""

from __future__ import annotations

from tests.control.operated import TWO, Operated


async def test_they_are_listed_as_the_api_lists_them() -> None:
    async with Operated(TWO) as plane:
        assert (await plane.fetch("GET", "/admin/models")).status == 401
        answer = await plane.ask("GET", "/admin/models")
        assert (answer.status, answer.body) == (200, plane.catalog.listing)
