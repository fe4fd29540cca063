"""The script that comes along, in Russian and English: to begin with."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from ivr_flows.model import LANGUAGES


@cache
def text(language: str) -> str:
    """Its YAML in ru or en. Raises KeyError of another language."""
    if language not in LANGUAGES:
        raise KeyError(language)
    return files("dialer.scripts").joinpath("examples", f"visit.{language}.yaml").read_text(encoding="utf-8")
