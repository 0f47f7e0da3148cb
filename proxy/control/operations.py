"""What the API description tells of each route of the control plane, in the types that the route itself uses."""

from __future__ import annotations

from msgspec import Struct

from proxy.control.activity.counters import CountersView, HistoryView, MetricsView, Span
from proxy.control.activity.events import Hello
from proxy.control.activity.news import StateNews
from proxy.control.activity.request_views import Detail, RequestsView, Summary
from proxy.control.activity.requests import Wanted
from proxy.control.deployments.state import Changed
from proxy.control.deployments.try_it import Trying
from proxy.control.deployments.views import DeploymentView, StateView
from proxy.control.health.views import (
    BreakersView,
    ChangesView,
    DetailedView,
    HealthView,
    StatusView,
    SystemView,
)
from proxy.control.keys.bodies import KeyChange, KeyPaging, KeyRotation, KeyWish
from proxy.control.keys.views import KeyPage, KeyView, NewKeyView
from proxy.control.openapi.api import ModelList
from proxy.control.openapi.calls import EXAMPLES
from proxy.control.openapi.faults import API
from proxy.control.openapi.operation import EVENTS, JSON, Operation
from proxy.control.settings.config import ConfigView
from proxy.control.settings.log_level import LogLevel
from proxy.control.settings.rate_limits import LimitsView
from proxy.control.settings.reload import Refused, Reloaded


class Token(Struct):
    """The admin token."""

    token: str


class Link(Struct):
    """What the link that the start prints brings along."""

    token: str = ""


_ID = "`id` is that of a deployment (encode its `/` as `%2F`), or a model's name for all that it has."
_STORE = (501, 503)

HEALTH = Operation("health", "Whether requests are served", HealthView, answers={503: HealthView})
LIVE = Operation("health", "Whether the process answers", StatusView)
READY = Operation("health", "Whether new requests are welcome", StatusView, answers={503: StatusView})
DETAILED = Operation("health", "Every component and every provider", DetailedView, answers={503: DetailedView})
BREAKERS = Operation("health", "Every circuit breaker", BreakersView)
SYSTEM = Operation("health", "What the process takes of its machine", SystemView)
CHANGES = Operation("health", "What has changed within the last hour", ChangesView)
SCRAPE = Operation(
    "health", "The metrics for Prometheus", media=("text/plain", "application/openmetrics-text"), notes="By `Accept`."
)

FOLLOW = Operation(
    "session", "Follow the link that the start prints", status=303, media=(), query=Link, errors=(401, 403, 429)
)
LOG_IN = Operation("session", "Begin a session", status=204, media=(), body=Token, form=True, errors=(401, 429))
LOG_OUT = Operation("session", "End the session", status=204, media=(), errors=(403,))

KEYS = Operation("keys", "The API keys", KeyPage, query=KeyPaging, errors=_STORE)
NEW_KEY = Operation(
    "keys",
    "Make an API key",
    NewKeyView,
    201,
    body=KeyWish,
    example={"name": "alice", "expiresIn": 86400},
    errors=_STORE,
)
KEY = Operation("keys", "One API key", KeyView, errors=_STORE)
CHANGE_KEY = Operation("keys", "Change an API key", KeyView, body=KeyChange, errors=(409, *_STORE))
DELETE_KEY = Operation("keys", "Revoke an API key", status=204, media=(), errors=(409, *_STORE))
ROTATE_KEY = Operation(
    "keys", "A new secret for an API key", NewKeyView, 201, body=KeyRotation, optional=True, errors=(409, *_STORE)
)

STATE = Operation("operator", "What every deployment does", StateView)
RESET = Operation("operator", "Hold nothing against a deployment any more", DeploymentView | Changed, notes=_ID)
OPEN = Operation("operator", "Send nobody to a deployment", DeploymentView | Changed, notes=_ID)
CLOSE = Operation("operator", "Ask a deployment again at once", DeploymentView | Changed, notes=_ID)
METRICS = Operation("operator", "What was counted since the start", MetricsView)
HISTORY = Operation("operator", "What was counted second by second", HistoryView, query=Span)
RATE_LIMITS = Operation("operator", "The limits, and who has used how much of them", LimitsView)
REQUESTS = Operation("operator", "The last requests", RequestsView, query=Wanted)
REQUEST = Operation("operator", "One request with its attempts", Detail)
RELOAD = Operation("operator", "Load the configuration again", Reloaded, answers={409: Refused})
CONFIG = Operation("operator", "The configuration in force, without its secrets", ConfigView)
EVENTS_ = Operation(
    "operator",
    "What changes, as it changes",
    media=(EVENTS,),
    errors=(503,),
    events={
        "hello": Hello,
        "counters": CountersView,
        "state": StateNews,
        "request": Summary,
        "reload": Reloaded,
    },
    notes="A stream of events, whose data are JSON. `Last-Event-ID` resumes it, as long as what was missed is kept.",
)
LOG_LEVEL = Operation("operator", "Change how much is logged", LogLevel, body=LogLevel, example={"level": "debug"})
TRY = Operation(
    "operator",
    "Ask the API as the admin",
    media=(JSON, EVENTS, "*/*"),
    body=Trying,
    example={"path": "chat/completions", "body": EXAMPLES["chat/completions"]},
    errors=tuple(status for status in API if isinstance(status, int)),
    notes="`path` is what follows `/v1/`, `body` what is asked there; the answer is what the API answers.",
)
MODELS = Operation("operator", "The models, as the API lists them", ModelList)
