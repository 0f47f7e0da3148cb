"""The admin API of services and routes, which changes them while the gateway runs."""
