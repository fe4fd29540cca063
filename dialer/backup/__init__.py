"""A copy of an installation, made while it works, and what is made of it elsewhere or later."""
