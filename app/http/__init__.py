"""The HTTP service: routes, other clients' formats, access, limits and errors."""
