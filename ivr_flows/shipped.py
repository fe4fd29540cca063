"""The flows that come along, in Russian and English: ready to be used, and to be changed."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Final

from ivr_flows.loader import load
from ivr_flows.model import LANGUAGES, Flow

NAMES: Final = ("reception", "information", "survey", "visit", "optout", "rating")


@cache
def text(name: str, language: str) -> str:
    """The YAML of a flow of `NAMES` in ru or en. Raises KeyError where there is none."""
    if name not in NAMES or language not in LANGUAGES:
        raise KeyError(f"{name}.{language}")
    return files("ivr_flows").joinpath("flows", f"{name}.{language}.yaml").read_text(encoding="utf-8")


@cache
def flow(name: str, language: str) -> Flow:
    """A flow of `NAMES` in ru or en. Raises KeyError where there is none."""
    return load(text(name, language), source=f"{name}.{language}.yaml")
