"""Recordings of talks: begun when a talk begins, kept under names that the server makes."""
