"""Russian and English: gettext catalogues read from their .po files when the server starts.

The folder `dialer/web/locale/<language>/LC_MESSAGES/` holds one file a subject (`errors.po`,
`pages.po`, ...); all files of a language make one catalogue. Message ids are the English texts. No compiled
file exists, so none can be out of date.
"""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import NullTranslations, Translations

from dialer.errors import DozvonError
from dialer.said import Name, Said

LOCALES = ("ru", "en")
FOLDER = Path(__file__).parent.parent / "web" / "locale"


@cache
def translator(locale: str) -> NullTranslations:
    """The catalogue of a language: `gettext`, `ngettext`, `pgettext`; fit for Jinja's i18n extension.

    A text that the catalogue does not have comes back as it is, in English.
    """
    merged: NullTranslations = NullTranslations()
    for file in sorted((FOLDER / locale / "LC_MESSAGES").glob("*.po")):
        with file.open("rb") as source:
            catalog = read_po(source, locale=locale, abort_invalid=True)
        compiled = io.BytesIO()
        write_mo(compiled, catalog)
        compiled.seek(0)
        one = Translations(compiled)
        merged = one if not isinstance(merged, Translations) else merged.merge(one)
    return merged


def terminal_locale(environment: Mapping[str, str] = os.environ) -> str:
    """`ru` where the terminal speaks Russian (LC_ALL, LC_MESSAGES, LANG in this order), else `en`."""
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        if value := environment.get(name):
            return "ru" if value.lower().startswith("ru") else "en"
    return "en"


def negotiate(accept_language: str | None, default: str) -> str:
    """The best of `LOCALES` for an Accept-Language header; `default` where it names none of them."""
    best, weight = default, 0.0
    for part in (accept_language or "")[:500].split(","):
        tag, _, rest = part.strip().partition(";")
        language = tag.strip().lower().partition("-")[0]
        try:
            q = float(rest.strip().removeprefix("q=")) if rest else 1.0
        except ValueError:
            continue
        if language in LOCALES and q > weight:
            best, weight = language, q
    return best


def said(value: object, locale: str) -> object:
    """A detail of an error in the reader's language: texts are looked up, also inside lists and mappings."""
    if isinstance(value, Said):
        values = {name: said(inner, locale) for name, inner in value.values.items()}
        return translator(locale).gettext(value.template).format(**values)
    if isinstance(value, DozvonError):
        return message(value, locale)
    if isinstance(value, Name):
        return str(value)
    if isinstance(value, str):
        # The empty id is the catalogue's header.
        return translator(locale).gettext(value) if value else value
    if isinstance(value, Mapping):
        return told_in(value, locale)
    if isinstance(value, (list, tuple, set, frozenset)):
        return [said(inner, locale) for inner in value]
    return value


def told_in(details: Mapping[str, object], locale: str) -> dict[str, object]:
    """Details of an error in the reader's language. A `field` stays as it was sent: programs look at it."""
    return {str(name): inner if name == "field" else said(inner, locale) for name, inner in details.items()}


def message(error: DozvonError, locale: str) -> str:
    """What the error says, in the reader's language."""
    details = {name: said(value, locale) for name, value in error.details.items()}
    return translator(locale).gettext(error.template()).format(**details)
