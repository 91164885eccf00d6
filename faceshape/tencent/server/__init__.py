"""The HTTP server: signatures, request forms, the pool of threads, metrics."""
