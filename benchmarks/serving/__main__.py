"""Load on a running server: ``python -m benchmarks.serving``; see `benchmarks.serving.load`."""

# In a module of its own, because processes that are spawned cannot import names from __main__.
from benchmarks.serving.load import main

main()
