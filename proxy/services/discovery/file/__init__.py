"""Addresses from a file such as ``consul.yml``, which is read again when it changes."""
