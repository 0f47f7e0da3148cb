"""The dashboard: one page and the files that it loads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Final

from proxy.control.http.router import ControlRoute
from proxy.control.pages.files import FILE_HEADERS, StaticFile, content_type, read_file, send_file, unknown_file
from proxy.server.request import Request
from proxy.server.security import page_lines

INDEX: Final = "index.html"


class DashboardPages:
    """The files contain no secrets, so they need no credential: all data comes from the admin routes."""

    def __init__(self) -> None:
        self._page, self._files = _read()

    def routes(self) -> Sequence[ControlRoute]:
        return (
            ControlRoute("GET", "/", "open", self.index),
            ControlRoute("GET", "/admin", "open", self.index),
            ControlRoute("GET", "/admin/assets/{name}", "open", self.file),
        )

    async def index(self, request: Request) -> None:
        """GET / and /admin: the dashboard, with a content security policy that allows our own files only.

        A route to a service may have the path ``/``. Then the dashboard is at ``/admin`` only.
        """
        await send_file(request, self._page)

    async def file(self, request: Request, name: str) -> None:
        """GET /admin/assets/{name}. Raises ClientFault (404) for any other name."""
        file = self._files.get(name)
        if file is None:
            raise unknown_file()
        await send_file(request, file)


@cache
def _read() -> tuple[StaticFile, Mapping[str, StaticFile]]:
    """The page and its files. They belong to the package, so one reading lasts as long as the process."""
    folder = files("proxy.control") / "dashboard"
    found = {
        file.name: read_file(file, kind + FILE_HEADERS)
        for file in folder.iterdir()
        if (kind := content_type(file.name)) is not None
    }
    return read_file(folder / INDEX, page_lines()), found
