"""Prompts: what is to be heard, as files that Asterisk plays: recorded, spoken, or put together of words."""
