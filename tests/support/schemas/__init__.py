"""Schemas of requests as trees, the requests that they allow, and what a translation makes of each member."""
