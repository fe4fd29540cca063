"""Calls that come in: who is called, what the caller goes through, and whom they are put through to."""
