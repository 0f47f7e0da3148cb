"""Where services and routes are kept that are made at run time: one file for each technology behind ``base.py``."""
