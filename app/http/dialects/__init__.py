"""Requests and replies of other reward models' clients, one module each; ``app.http.routes.doors`` has the paths."""
