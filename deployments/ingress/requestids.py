"""The import path of the proxy's middlewares that operators have in their configuration."""

from deployments.ingress.http.middleware.request_ids import middlewares

__all__ = ["middlewares"]
