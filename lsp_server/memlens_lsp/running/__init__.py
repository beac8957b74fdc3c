"""Running tests with pytest: what to run, how, and how it ends."""
