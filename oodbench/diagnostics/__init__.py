"""Looking into a policy: what its layers know, what it looks at, and whether it listens."""
