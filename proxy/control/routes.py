"""The table of the control plane: every route, and the credential that it wants. A new one is a line here."""

from __future__ import annotations

from proxy.config.schema import Admin
from proxy.control.apikeys import ApiKeys
from proxy.control.login import Login
from proxy.control.pages import Pages
from proxy.control.router import Route


def routes(settings: Admin, pages: Pages, login: Login, keys: ApiKeys) -> tuple[Route, ...]:
    return (
        Route("GET", "/health", "open", pages.health),
        Route("GET", "/health/detailed", "admin", pages.detailed),
        Route("GET", "/ready", "open", pages.ready),
        Route("GET", "/metrics", "admin" if settings.protect_metrics else "open", pages.metrics),
        Route("GET", "/admin/login", "open", login.follow),
        Route("POST", "/admin/login", "open", login.log_in),
        Route("POST", "/admin/logout", "open", login.log_out),
        Route("GET", "/auth/api-keys", "admin", keys.list),
        Route("POST", "/auth/api-keys", "admin", keys.create),
        Route("GET", "/auth/api-keys/{id}", "admin", keys.show),
        Route("PATCH", "/auth/api-keys/{id}", "admin", keys.update),
        Route("DELETE", "/auth/api-keys/{id}", "admin", keys.delete),
        Route("POST", "/auth/api-keys/{id}/rotate", "admin", keys.rotate),
    )
