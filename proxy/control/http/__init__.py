"""HTTP for the control plane's routes."""
