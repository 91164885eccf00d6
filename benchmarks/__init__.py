"""Every number that a README states, and the commands that print it."""
