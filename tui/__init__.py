"""The terminal console. It holds a `Client` and nothing else of the core."""
