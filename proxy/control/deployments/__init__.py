"""Deployments: what each does, its circuit breaker, the list of models, and the dashboard's test prompt."""
