"""What is offered to callers, where, and what they said to it."""
