"""What cleaning would change of a contact."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dialer.contacts.tidying import NAMES, Finding, tidy

TEXT = st.text(alphabet="аИвнoВ -'.@mailru1", max_size=20)


def test_each_change_is_told() -> None:
    """New values, and what they were; marks change nothing."""
    found = tidy(
        {"last_name": "ИВАНОВА АННА ПЕТРОВНА", "first_name": "", "middle_name": ""},
        "Anna@GMIAL.com",
        {"VIN": "xta210990y2766389", "Гос. номер": "кредит", "Город": "омск"},
    )
    assert found.changes == {
        "last_name": "Иванова",
        "first_name": "Анна",
        "middle_name": "Петровна",
        "custom": {"VIN": "XTA210990Y2766389", "Гос. номер": "кредит", "Город": "омск"},
    }
    assert found.findings == (
        Finding("name", "ИВАНОВА АННА ПЕТРОВНА", "Иванова Анна Петровна"),
        Finding("split", "Иванова Анна Петровна", "Иванова | Анна | Петровна"),
        Finding("email_domain", "Anna@GMIAL.com", "Anna@gmail.com"),
        Finding("vin", "xta210990y2766389", "XTA210990Y2766389"),
        Finding("plate_form", "кредит", ""),
    )


@given(TEXT, TEXT, TEXT, TEXT, st.dictionaries(st.sampled_from(["VIN", "госномер", "a"]), TEXT))
def test_what_is_tidy_stays(last: str, first: str, middle: str, email: str, custom: dict[str, str]) -> None:
    """A contact whose changes were written has none left."""
    names = dict(zip(NAMES, (last, first, middle), strict=True))
    once = tidy(names, email, custom)
    now = {"email": email, "custom": custom, **names} | dict(once.changes)
    again = tidy({name: str(now[name]) for name in NAMES}, str(now["email"]), dict(now["custom"]))  # type: ignore[call-overload]
    assert again.changes == {}
