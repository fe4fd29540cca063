"""`dozvon bench segments`: how long a live count takes over a large base."""
