"""REST over any `tasky.client.base.Client`."""
