"""Links to an outside CRM: what a template may be, and how it is filled in."""

from __future__ import annotations

import pytest

from dialer.calls.crm import check, filled, origin


@pytest.mark.parametrize(
    ("template", "server"),
    [
        ("https://crm.example.org/card?key={external_id}", "https://crm.example.org"),
        ("http://10.0.0.7:8080/#/find/{phone}/{last_name}", "http://10.0.0.7:8080"),
        ("https://crm.example.org/", "https://crm.example.org"),
    ],
)
def test_templates(template: str, server: str) -> None:
    """An address of a server, with known names in braces behind the host."""
    assert check(template) == template
    assert origin(template) == server


@pytest.mark.parametrize(
    "template",
    [
        "javascript:alert({phone})",
        "//crm.example.org/{phone}",
        "https://crm.example.org",
        "https://{last_name}.example.org/",
        "https://crm.example.org:{phone}/",
        "https://user@crm.example.org/",
        "https://crm.example.org;script-src */",
        "https://crm.example.org/{password}",
        "https://crm.example.org/{phone",
        "https://crm.example.org/}{",
        "https://crm.example.org/a b",
        "https://crm.example.org/\u0430",
        "https://crm.example.org/\n",
    ],
)
def test_what_is_no_template(template: str) -> None:
    """Another scheme, a host that a person's data could change, a name that is not known, a brace alone."""
    with pytest.raises(ValueError, match=r"\w"):
        check(template)


def test_what_is_filled_in_is_encoded() -> None:
    """Nothing that is known of a person is read as more than a value; what is not known is empty."""
    template = "https://crm.example.org/{last_name}/?phone={phone}&key={external_id}"
    values = {"last_name": "Жук/../?&#{phone}", "phone": "+79161234567", "external_id": None}
    name = "%D0%96%D1%83%D0%BA%2F..%2F%3F%26%23%7Bphone%7D"
    assert filled(template, values) == f"https://crm.example.org/{name}/?phone=%2B79161234567&key="
