"""The control plane: every path that is not the model API, from health checks to the dashboard.

One folder per task. A route stands in one file with its handler, its types and its OpenAPI text. ``plane.py`` joins the
routes of all folders into one table.

http/         router, request bodies and queries, responses
access/       the admin token and its sessions, login, and the limit on wrong guesses
keys/         API keys in the database
deployments/  what each deployment does, its circuit breaker, the list of models, the dashboard's test prompt
health/       health checks, components, probes of providers, the history of state changes
activity/     recent requests, counters per second, the event stream
settings/     the effective configuration, reload, log level, rate limits
pages/        the Prometheus scrape, the dashboard's files, Swagger UI and Redoc
openapi/      the OpenAPI document, made from the table of routes and the table of endpoints
dashboard/    the dashboard: plain ES modules without a build step
"""
