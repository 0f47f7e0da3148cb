"""Patches: the changes of a request body that a provider needs although it speaks the client's dialect.

A closed list, by name (``config/patches.py``). A patch only finds changes; all bytes that it does not name are sent as
they came. One file for each part of a body, and ``table.py`` has all of them.
"""
