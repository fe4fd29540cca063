"""Whom flows may put callers through to."""
