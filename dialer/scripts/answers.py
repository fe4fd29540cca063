"""An answer as it was typed or clicked becomes the value that is kept. Pure."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Final

from dialer.errors import Invalid
from dialer.said import Said
from dialer.scripts.model import Question
from ivr_flows.values import Value

LONGEST: Final = 2_000
_DIGITS: Final = (5, 15)


def read(question: Question, given: str) -> Value:
    """The value of an answer; None: none was given. Raises Invalid where it is none of its kind."""
    given = given.strip().replace("\0", "")
    if not given:
        if question.required:
            raise Invalid(field="answer", reason="is missing")
        return None
    match question.kind:
        case "number":
            return _number(question, given)
        case "date":
            return _date(given)
        case "datetime":
            return _datetime(given)
        case "phone":
            return _phone(given)
        case "choice" | "yes_no":
            if given not in question.answers:
                raise _invalid("must be one of: {expected}", expected=", ".join(question.answers))
            return given
        case "text":
            return _text(question, given)


def shown(question: Question, value: Value) -> str:
    """A kept answer as it is read: of a choice its words."""
    if value is None:
        return ""
    return question.choices.get(str(value), str(value))


def _invalid(template: str, **values: object) -> Invalid:
    return Invalid(field="answer", reason=Said(template, **values))


def _number(question: Question, given: str) -> Value:
    try:
        number = Decimal(given.replace(" ", "").replace("\xa0", "").replace(",", "."))
    except InvalidOperation:
        raise Invalid(field="answer", reason="must be a number") from None
    if not number.is_finite() or abs(number) >= 10**15:
        raise Invalid(field="answer", reason="must be a number")
    if question.least is not None and number < Decimal(str(question.least)):
        raise _invalid("must be {ge} or more", ge=f"{question.least:g}")
    if question.most is not None and number > Decimal(str(question.most)):
        raise _invalid("must be {le} or less", le=f"{question.most:g}")
    return int(number) if number == number.to_integral_value() else float(number)


def _date(given: str) -> str:
    try:
        return date.fromisoformat(given).isoformat()
    except ValueError:
        raise Invalid(field="answer", reason="must be a date like 2026-01-31") from None


def _datetime(given: str) -> str:
    """By the clock of the person: without a zone."""
    try:
        moment = datetime.fromisoformat(given)
    except ValueError:
        raise Invalid(field="answer", reason="must be a time like 2026-01-31T09:00") from None
    if moment.tzinfo is not None or "T" not in given:
        raise Invalid(field="answer", reason="must be a time like 2026-01-31T09:00")
    return moment.isoformat(timespec="minutes")


def _phone(given: str) -> str:
    digits = "".join(one for one in given if one in "0123456789")
    least, most = _DIGITS
    if not least <= len(digits) <= most or any(one not in "0123456789+-() .\xa0" for one in given):
        raise Invalid(field="answer", reason="must be a phone number")
    return ("+" if given.startswith("+") else "") + digits


def _text(question: Question, given: str) -> str:
    longest = int(question.most) if question.most is not None else LONGEST
    if len(given) > min(longest, LONGEST):
        raise _invalid("may have {max_length} characters at most", max_length=min(longest, LONGEST))
    if question.least is not None and len(given) < question.least:
        raise _invalid("needs {min_length} characters or more", min_length=int(question.least))
    return given.encode("utf-8", "replace").decode()


def words(question: Question, value: Value, language: str) -> str:
    """A kept answer as a text says it: a choice's words, a day as people write it."""
    if question.kind == "yes_no" and value is not None:
        return _YES_NO[language][str(value)]
    if question.kind == "date" and isinstance(value, str):
        return date.fromisoformat(value).strftime(_DAY[language])
    if question.kind == "datetime" and isinstance(value, str):
        return datetime.fromisoformat(value).strftime(f"{_DAY[language]}, %H:%M")
    return shown(question, value)


_DAY: Final = {"ru": "%d.%m.%Y", "en": "%d/%m/%Y"}
_YES_NO: Final = {"ru": {"yes": "да", "no": "нет"}, "en": {"yes": "yes", "no": "no"}}
