"""The expressions that are counted: what campaigns of a car dealer ask for, and what no index serves."""

from __future__ import annotations

from typing import Any, Final

Said = dict[str, Any]


def _test(field: str, op: str, value: object = None) -> Said:
    return {"field": field, "op": op} | ({} if value is None else {"value": value})


_CREDIT = _test("custom.credit_end", "next", "P90D")
_AWAY = _test("custom.last_visit", "ago", "P2Y")
_RICH = _test("custom.revenue", "ge", 500_000)

#: name -> (expression, whether an index serves it). Lists 1 to 3: everybody, a fifth, a fiftieth.
QUESTIONS: Final[dict[str, tuple[Said, bool]]] = {
    "everybody": ({"all": []}, True),
    "credit ends within 90 days": (_CREDIT, True),
    "revenue of 500,000 or more": (_RICH, True),
    "car is a Volvo or a BMW": (_test("custom.car_make", "in", ["Volvo", "BMW"]), True),
    "credit ends within 90 days, payment up to 30,000": (
        {"all": [_CREDIT, _test("custom.monthly_payment", "le", 30_000)]},
        True,
    ),
    "credit ends within 90 days, not of the list Old": (
        {"all": [_CREDIT, {"not": _test("list", "in", [2])}]},
        True,
    ),
    "last visit over two years ago, of the list VIP": ({"all": [_AWAY, _test("list", "in", [3])]}, True),
    "credit ends soon, or last visit long ago": ({"any": [_CREDIT, _AWAY]}, True),
    "revenue high and last visit long ago (a cell of a grid)": (
        {"all": [_RICH, _test("custom.last_visit", "before", "2022-06-01")]},
        True,
    ),
    "never called": (_test("attempts", "eq", 0), True),
    "never called, credit ends within 90 days": ({"all": [_test("attempts", "eq", 0), _CREDIT]}, True),
    "last call not answered, over a week ago": (
        {"all": [_test("last_result", "in", ["no_answer", "busy"]), _test("last_attempt_at", "ago", "P7D")]},
        True,
    ),
    "revenue high, in no campaign of the spring": (
        {"all": [_RICH, {"not": _test("campaign", "in", [1])}]},
        True,
    ),
    "added within the last month": (_test("added_at", "last", "P1M"), True),
    "a number of Moscow": (_test("phone", "starts", "+7495"), True),
    "mobile numbers": (_test("phone_kind", "in", ["mobile"]), False),
    "last name contains": (_test("last_name", "contains", "ванов1"), False),
    "time zone of Yekaterinburg": (_test("zone", "in", ["Asia/Yekaterinburg"]), False),
    "not a Volvo, not of the list Old, not called yet": (
        {"not": {"any": [_test("custom.car_make", "eq", "volvo"), _test("list", "in", [2]),
                         _test("attempts", "ge", 1)]}},
        False,
    ),
}  # fmt: skip
