"""What other reward models' clients send and expect, one module each; ``app.http.routes.doors`` has the paths."""
