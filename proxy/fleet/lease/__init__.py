"""Leases: what one process of the fleet does at a time.

base.py       what a store of leases does
lease.py      one lease, renewed while this process runs
redis.py      kept in Redis
consul.py     kept in Consul, by a session
database.py   kept in the database
alone.py      for a process without either: it has every lease
opening.py    chooses one of them
"""
