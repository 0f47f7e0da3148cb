"""Pages and files: the Prometheus scrape, the dashboard, Swagger UI and Redoc."""
