"""The configuration that a managed Asterisk loads, and what to add to a PBX that is already there."""

from pathlib import Path

#: The folder of the `*.conf` files.
FOLDER = Path(__file__).parent
