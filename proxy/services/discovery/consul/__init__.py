"""Addresses by Consul: instances of a service that pass their checks, and the registration of this gateway.

instances.py     an answer of Consul as addresses
source.py        follows one service by blocking queries
opening.py       what all sources share
registration.py  registers the gateway itself
"""
