"""Dozvon: a dialer and telephony-integration server for contact centres on stock Asterisk."""

__version__ = "0.1.0"
