"""Hostile input against a running gateway, with its cost in memory and event loop time.

    python -m tests.hostile                              starts its own gateway
    python -m tests.hostile --url http://127.0.0.1:8000 --pid 4711

The attacks run one after another on loopback only, each bounded in bytes and seconds. Meanwhile ``/health/live`` is
requested every 20 ms over a new connection. The exit status is 1 if peak memory or the slowest health check misses its
target, or if an attack got an unexpected status.
"""
