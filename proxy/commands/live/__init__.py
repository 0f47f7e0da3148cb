"""``sluice check --live``: whether what the configuration names works from this machine, one file per group of parts.

``run`` has the table of parts and prints the findings, ``reach`` opens a connection as the gateway does.
"""
