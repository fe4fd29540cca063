"""The servers that a tenant's flows may ask, and the asking."""
