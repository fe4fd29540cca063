"""Hours that a tenant keeps by name: when it is open."""
