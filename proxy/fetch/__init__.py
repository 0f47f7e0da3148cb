"""Content that a request names by an address, fetched by the gateway for providers that take none."""
