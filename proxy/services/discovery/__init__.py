"""Where the addresses of services are found: one file for each technology behind the face in ``base.py``."""
