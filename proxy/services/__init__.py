"""Any HTTP traffic: services with their addresses, the routes that lead to them, and their relay."""
