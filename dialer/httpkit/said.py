"""`Said` of the floor below, by the name under which rooms know it."""

from dialer.said import Said

__all__ = ["Said"]
