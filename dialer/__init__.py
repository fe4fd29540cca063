"""Dozvon: a predictive dialer and telephony-integration server on stock Asterisk."""

__version__ = "0.1.0"
