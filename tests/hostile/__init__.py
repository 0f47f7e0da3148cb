"""Hostile input against a running gateway: what does it cost in memory and in time of the loop?

    python -m tests.hostile                              starts a gateway of its own
    python -m tests.hostile --url http://127.0.0.1:8000 --pid 4711

One attack after another, each bounded in bytes and seconds, on loopback only. Meanwhile ``/health/live`` is asked
every 20 ms over a new connection. The exit status is 1 if the peak of memory or the slowest health check is
beyond its target, or if an attack was answered with something else than it should be.
"""
