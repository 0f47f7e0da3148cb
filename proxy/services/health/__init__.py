"""Active health checks of the addresses of services, by one replica of those that share Redis, a database or Consul.

address.py    an address that is checked: its state, and what a check changes
probe.py      one check: a GET
history.py    the last changes of an address, and the view of its health
checker.py    which address is checked when
sharing.py    results of the replica that checks, for the others
board/        where these results are kept: Redis, the database or Consul
health.py     all of it behind one face; opening.py makes it
"""
