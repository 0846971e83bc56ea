"""The kinds of requests to the engine: one file per kind, with the types of the request and of the answer."""
