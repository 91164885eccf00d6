"""The cloud first, the device when it is unavailable: client, breaker, verdicts."""
