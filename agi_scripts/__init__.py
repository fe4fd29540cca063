"""Programs that a dialplan runs, one a file, for an Asterisk of anybody's: see docs/how-to/hooks.md.

They need Python 3.11 and pyst2, and nothing of the server: copy this folder to the machine of Asterisk. The
server's own calls need none of them.
"""
