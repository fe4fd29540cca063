"""What was not taken from a file, and why: the words of the rejects file.

Each code is part of the API; pages translate it, programs depend on it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

#: How much of a bad value is kept, in characters.
MAX_REJECT_VALUE = 200


class RejectCode(StrEnum):
    """Why a row or a cell was not taken. The words are part of the API and of the rejects file."""

    NO_PHONE = "no_phone"  # every phone column is empty
    LETTERS = "letters"  # letters in a number
    TOO_SHORT = "too_short"  # fewer digits than any number of its country
    TOO_LONG = "too_long"  # more digits than any number of its country; a value over its limit
    NO_COUNTRY = "no_country"  # no country has this code
    NOT_ASSIGNED = "not_assigned"  # the right length, but no such area or operator
    PREMIUM = "premium"  # the call would be billed to us as a paid service
    ROUNDED = "rounded"  # 7,91612E+10: a spreadsheet has thrown the digits away
    MANY_PHONES = "many_phones"  # more numbers than MAX_PHONES: the rest is left out
    EMAIL = "email"  # not an e-mail address
    TIMEZONE = "timezone"  # not a time zone
    PRIORITY = "priority"  # no whole number of three digits at most
    CONSENT_PURPOSE = "consent_purpose"  # no purpose of calls
    CONSENT_SOURCE = "consent_source"  # a consent that was given nowhere
    CONSENT_OVER = "consent_over"  # it ended before it began
    COLUMNS = "columns"  # more cells than the header has
    QUOTE = "quote"  # a quotation mark that is never closed
    DIFFERS = "differs"  # the person is known with another value, which stays
    NUL = "nul"  # a NUL character
    ENCODING = "encoding"  # bytes that are no letters in the encoding of the file
    # What does not fit a field of the tenant (`dialer.contacts.fields.Misfits`); the text is kept.
    NUMBER = "number"
    DATE = "date"
    CHOICE = "choice"
    YES_NO = "yes_no"
    RANGE = "range"
    PATTERN = "pattern"
    REQUIRED = "required"


@dataclass(frozen=True, slots=True)
class Reject:
    """A row or a cell that was not taken."""

    #: row of the file; 1 is the one after the header
    row: int
    #: header of the column; empty when the whole row is meant
    column: str
    code: RejectCode
    #: what stood there, cut to MAX_REJECT_VALUE
    value: str

    @classmethod
    def of(cls, row: int, column: str, code: RejectCode, value: str) -> Reject:
        """A reject whose value is cut to its limit and holds no NUL, which PostgreSQL cannot keep."""
        return cls(row, column, code, value[:MAX_REJECT_VALUE].rstrip("\r\n").replace("\0", "␀"))
