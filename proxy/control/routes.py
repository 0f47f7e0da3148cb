"""The table of the control plane: every route, and the credential that it wants. A new one is a line here."""

from __future__ import annotations

from proxy.config.schema import Admin
from proxy.control import operations as told
from proxy.control.access.login import Login
from proxy.control.health.handlers import Health
from proxy.control.http.router import Route
from proxy.control.keys.api_keys import ApiKeys
from proxy.control.openapi.document import Description
from proxy.control.operator import Operator
from proxy.control.pages.assets import Assets
from proxy.control.pages.docs import Docs
from proxy.control.pages.metrics import Pages


def routes(settings: Admin, pages: Pages, login: Login, keys: ApiKeys) -> tuple[Route, ...]:
    return (
        Route("GET", "/metrics", "admin" if settings.protect_metrics else "open", pages.metrics, told.SCRAPE),
        Route("GET", "/admin/login", "open", login.follow, told.FOLLOW),
        Route("POST", "/admin/login", "open", login.log_in, told.LOG_IN),
        Route("POST", "/admin/logout", "open", login.log_out, told.LOG_OUT),
        Route("GET", "/auth/api-keys", "admin", keys.list, told.KEYS),
        Route("POST", "/auth/api-keys", "admin", keys.create, told.NEW_KEY),
        Route("GET", "/auth/api-keys/{id}", "admin", keys.show, told.KEY),
        Route("PATCH", "/auth/api-keys/{id}", "admin", keys.update, told.CHANGE_KEY),
        Route("DELETE", "/auth/api-keys/{id}", "admin", keys.delete, told.DELETE_KEY),
        Route("POST", "/auth/api-keys/{id}/rotate", "admin", keys.rotate, told.ROTATE_KEY),
    )


def operator_routes(operator: Operator) -> tuple[Route, ...]:
    """What there is to see of a gateway that runs, and to do about it."""
    states, counters, requests = operator.states, operator.counters, operator.requests
    return (
        Route("GET", "/admin/state", "admin", states.all, told.STATE),
        Route("POST", "/admin/state/{+id}/reset", "admin", states.reset, told.RESET),
        Route("POST", "/admin/state/{+id}/open", "admin", states.open, told.OPEN),
        Route("POST", "/admin/state/{+id}/close", "admin", states.close, told.CLOSE),
        Route("GET", "/admin/metrics", "admin", counters.metrics, told.METRICS),
        Route("GET", "/admin/history", "admin", counters.history, told.HISTORY),
        Route("GET", "/admin/rate-limits", "admin", operator.rate_limits.show, told.RATE_LIMITS),
        Route("GET", "/admin/requests", "admin", requests.list, told.REQUESTS),
        Route("GET", "/admin/requests/{id}", "admin", requests.show, told.REQUEST),
        Route("POST", "/admin/reload", "admin", operator.reload.run, told.RELOAD),
        Route("GET", "/admin/config", "admin", operator.config_page.show, told.CONFIG),
        Route("GET", "/admin/events", "admin", operator.events.stream, told.EVENTS_),
        Route("POST", "/admin/log-level", "admin", operator.log_levels.change, told.LOG_LEVEL),
        Route("POST", "/admin/try", "admin", operator.try_it.run, told.TRY),
        Route("GET", "/admin/models", "admin", operator.models.list, told.MODELS),
    )


def page_routes(assets: Assets) -> tuple[Route, ...]:
    """The dashboard. It holds nothing worth a credential: all that it shows comes from the routes above."""
    return (
        Route("GET", "/", "open", assets.index),
        Route("GET", "/admin", "open", assets.follow),
        Route("GET", "/admin/assets/{name}", "open", assets.file),
    )


def health_routes(health: Health, base_paths: tuple[str, ...]) -> tuple[Route, ...]:
    """What is for the operator is also below /admin: a browser's session counts only there.

    GET /health is below the base paths of the API as well, where clients of other gateways look for it.
    """
    pages = {
        "/health/detailed": (health.detailed, told.DETAILED),
        "/health/circuit-breakers": (health.breakers, told.BREAKERS),
        "/health/system": (health.system, told.SYSTEM),
        "/health/history": (health.history, told.CHANGES),
    }
    return (
        Route("GET", "/health", "open", health.health, told.HEALTH),
        *(Route("GET", f"{base.rstrip('/')}/health", "open", health.health) for base in base_paths if base != "/"),
        Route("GET", "/health/live", "open", health.live, told.LIVE),
        Route("GET", "/ready", "open", health.ready, told.READY),
        *(Route("GET", path, "admin", *page) for path, page in pages.items()),
        *(Route("GET", f"/admin{path}", "admin", *page) for path, page in pages.items()),
    )


def description_routes(description: Description, docs: Docs) -> tuple[Route, ...]:
    """What there is to read about all of them; for anybody, as it is the same for every gateway of this version."""
    return (
        Route("GET", "/openapi.json", "open", description.show),
        Route("GET", "/docs", "open", docs.swagger),
        Route("GET", "/docs/{name}", "open", docs.file),
        Route("GET", "/redoc", "open", docs.redoc),
    )
