"""The wire: routes, schemas, errors, API keys and the chat page."""
