"""The table of all routes, with the credential that each requires."""

from __future__ import annotations

from tests.support.gateway import Gateway

ROUTES = """
GET    /metrics                           open
GET    /admin/login                       open
POST   /admin/login                       open
POST   /admin/logout                      open
GET    /auth/api-keys                     admin
POST   /auth/api-keys                     admin
GET    /auth/api-keys/{id}                admin
PATCH  /auth/api-keys/{id}                admin
DELETE /auth/api-keys/{id}                admin
POST   /auth/api-keys/{id}/rotate         admin
GET    /admin/auth/api-keys               admin
POST   /admin/auth/api-keys               admin
GET    /admin/auth/api-keys/{id}          admin
PATCH  /admin/auth/api-keys/{id}          admin
DELETE /admin/auth/api-keys/{id}          admin
POST   /admin/auth/api-keys/{id}/rotate   admin
GET    /admin/state                       admin
POST   /admin/state/{+id}/reset           admin
POST   /admin/state/{+id}/open            admin
POST   /admin/state/{+id}/close           admin
GET    /admin/models                      admin
POST   /admin/try                         admin
GET    /admin/metrics                     admin
GET    /admin/history                     admin
GET    /admin/requests                    admin
GET    /admin/requests/{id}               admin
GET    /admin/events                      admin
GET    /admin/attention                   admin
GET    /admin/config                      admin
POST   /admin/reload                      admin
POST   /admin/log-level                   admin
GET    /admin/rate-limits                 admin
GET    /admin/cache                       admin
POST   /admin/cache/invalidate            admin
GET    /analytics/usage                   admin
GET    /admin/analytics/usage             admin
GET    /billing/usage                     client
GET    /analytics/metrics                 admin
POST   /billing/estimate                  client
GET    /orchestrator/models               client
GET    /admin/budgets                     admin
GET    /billing/budgets                   client
GET    /billing/balance                   either
GET    /billing/balance/{user}            either
GET    /billing/transactions              either
POST   /billing/transaction               either
GET    /admin/billing/balance/{user}      admin
GET    /admin/billing/transactions        admin
POST   /admin/billing/transaction         admin
GET    /billing/accounts                  admin
GET    /admin/billing/accounts            admin
GET    /services                          admin
POST   /services                          admin
GET    /services/{name}                   admin
PUT    /services/{name}                   admin
PATCH  /services/{name}                   admin
DELETE /services/{name}                   admin
GET    /admin/services                    admin
POST   /admin/services                    admin
GET    /admin/services/{name}             admin
PUT    /admin/services/{name}             admin
PATCH  /admin/services/{name}             admin
DELETE /admin/services/{name}             admin
GET    /services/{name}/addresses         admin
POST   /services/{name}/addresses         admin
PATCH  /services/{name}/addresses         admin
DELETE /services/{name}/addresses         admin
GET    /services/{name}/health            admin
GET    /services/{name}/weight            admin
PUT    /services/{name}/weight            admin
PATCH  /services/{name}/weight            admin
GET    /admin/services/{name}/addresses   admin
POST   /admin/services/{name}/addresses   admin
PATCH  /admin/services/{name}/addresses   admin
DELETE /admin/services/{name}/addresses   admin
GET    /admin/services/{name}/health      admin
GET    /admin/services/{name}/weight      admin
PUT    /admin/services/{name}/weight      admin
PATCH  /admin/services/{name}/weight      admin
GET    /routes                            admin
POST   /routes                            admin
GET    /routes/{id}                       admin
PUT    /routes/{id}                       admin
PATCH  /routes/{id}                       admin
DELETE /routes/{id}                       admin
GET    /admin/routes                      admin
POST   /admin/routes                      admin
GET    /admin/routes/{id}                 admin
PUT    /admin/routes/{id}                 admin
PATCH  /admin/routes/{id}                 admin
DELETE /admin/routes/{id}                 admin
GET    /admin/routing-changes             admin
GET    /admin/event-receivers             admin
GET    /admin/dead-events                 admin
GET    /admin/dead-events/{seq}           admin
POST   /admin/dead-events/send-again      admin
POST   /admin/dead-events/delete          admin
GET    /admin/dead-letters                admin
POST   /admin/dead-letters/send-again     admin
GET    /health                            open
GET    /v1/health                         open
GET    /api/v1/health                     open
GET    /health/live                       open
GET    /ready                             open
GET    /api/hello                        open
OPTIONS /                                 open
OPTIONS /health                           open
OPTIONS /health/live                      open
OPTIONS /ready                            open
GET    /health/detailed                   admin
GET    /health/circuit-breakers           admin
GET    /health/system                     admin
GET    /health/history                    admin
GET    /admin/health/detailed             admin
GET    /admin/health/circuit-breakers     admin
GET    /admin/health/system               admin
GET    /admin/health/history              admin
GET    /                                  open
GET    /admin                             open
GET    /admin/assets/{name}               open
GET    /docs                              open
GET    /docs/{name}                       open
GET    /redoc                             open
GET    /openapi.json                      open
"""


async def test_every_route_has_its_credential() -> None:
    async with Gateway({"demo": "auto"}) as gw:
        assert gw.app.plane is not None
        table = [[route.method, route.path, route.credential] for route in gw.app.plane.routes]
    assert table == [line.split() for line in ROUTES.strip().splitlines()]
