"""Where results are kept: object stores, and the images and recipes put in them.

Knows nothing of HTTP, of models or of the deployments that use it. Only
`storage.deployment` is written for Ray Serve.
"""
