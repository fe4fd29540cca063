"""What a flow says: prompts of a moment, and all that it can ever say, to have their sounds made before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Final

from pydantic import BaseModel

from ivr_flows.model import LANGUAGES, Flow, Prompt, Sound, State, Text, Value
from ivr_flows.properties import Part, Prompts
from ivr_flows.templates import SPEAKING, Place, parse, prompt_of, render, speak

#: What is said where a flow cannot go on.
POLITE_END: Final[Mapping[str, str]] = {
    "ru": "Извините, сейчас мы не можем вам помочь. Пожалуйста, перезвоните позже.",
    "en": "Sorry, we cannot help you right now. Please call again later.",
}


def polite_end(language: str) -> tuple[Prompt, ...]:
    """Said before a call is hung up that a flow has nothing more for."""
    known = language if language in POLITE_END else LANGUAGES[0]
    return (Text(POLITE_END[known], known),)


def said(
    prompts: Prompts, variables: Mapping[str, Value], language: str, default: str, now: datetime
) -> tuple[Prompt, ...]:
    """What is to be heard, with its variables; `now` is local. What has no value is left out."""
    parts, spoken_in = prompts.parts(language, default)
    heard: list[Prompt] = []
    for part in parts:
        heard += _heard(part, variables, spoken_in, now)
    return tuple(heard)


def _heard(part: Part, variables: Mapping[str, Value], language: str, now: datetime) -> tuple[Prompt, ...]:
    match part.kind:
        case "sound":
            return (Sound(part.value, language),)
        case "text":
            return speak(part.value, variables, now, language)
        case kind:
            value = render(part.value, variables, now, language)
            argument = {"money": part.currency or "", "number": part.gender}.get(kind, "")
            one = prompt_of(kind, value, now, language, argument, part.case)
            if one is not None:
                return (one,)
            # What cannot be said as it was meant is said as it is.
            return (Text(value, language),) if any(c.isalnum() for c in value) else ()


def prompts_of(state: State) -> Iterator[tuple[str, Prompts]]:
    """The prompts of a state by their properties."""
    for name in type(state.properties).model_fields:
        value = getattr(state.properties, name)
        if isinstance(value, Prompts):
            yield name, value


def spoken(flow: Flow) -> tuple[Prompt, ...]:
    """All sounds and texts of a flow that do not depend on a call, each once, the polite end among them.

    Of a text with variables: the pieces between them that speaking filters cut out.
    """
    found: dict[Prompt, None] = dict.fromkeys(polite_end(flow.language))
    for state in flow.states.values():
        for _, prompts in prompts_of(state):
            for part, language in prompts.all(flow.language):
                found |= dict.fromkeys(_always(part, language))
    return tuple(found)


def _always(part: Part, language: str) -> Iterator[Prompt]:
    if part.kind == "sound":
        yield Sound(part.value, language)
    elif part.kind == "text":
        words, changing = "", False
        for piece in (*parse(part.value, spoken=True), None):
            speaking = isinstance(piece, Place) and any(kind in SPEAKING for kind, _ in piece.filters)
            if isinstance(piece, str):
                words += piece
            elif piece is None or speaking:
                if not changing and any(c.isalnum() for c in words):
                    yield Text(" ".join(words.split()), language)
                words, changing = "", False
            else:
                changing = True


def texts(model: BaseModel) -> Iterator[str]:
    """Every text inside of a model, with the variables that may be in it."""
    for name in type(model).model_fields:
        yield from _texts_in(getattr(model, name))


def _texts_in(value: object) -> Iterator[str]:
    match value:
        case str():
            yield value
        case BaseModel():
            yield from texts(value)
        case Mapping():
            for one in value.values():
                yield from _texts_in(one)
        case list() | tuple():
            for one in value:
                yield from _texts_in(one)
