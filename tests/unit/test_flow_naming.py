"""What a flow names that is kept elsewhere is found, with its path."""

from __future__ import annotations

from typing import Any

import pytest
from support.flows import document

from ivr_flows.loader import from_document
from ivr_flows.naming import Named, Naming, namings


@pytest.mark.parametrize(
    ("verb", "properties", "found"),
    [
        ("enqueue", {"queue": "sales"}, [(Named.QUEUE, "sales", "queue")]),
        ("request_callback", {"queue": "sales"}, [(Named.QUEUE, "sales", "queue")]),
        ("request_callback", {}, []),
        ("schedule", {"hours": "Salon"}, [(Named.HOURS, "Salon", "hours")]),
        ("schedule", {"week": {"mon": "24h"}}, []),
        ("goto_flow", {"flow": "other"}, [(Named.FLOW, "other", "flow")]),
        ("offer", {"place": "after", "prompt": "?"}, [(Named.PLACE, "after", "place")]),
        ("transfer", {"target": " Anna "}, [(Named.DESTINATION, "Anna", "target")]),
        ("transfer", {"target": "{caller}"}, []),
        ("dial", {"targets": ["Anna", "{caller}"]}, [(Named.DESTINATION, "Anna", "targets")]),
        ("http_request", {"url": "https://a.example/x"}, [(Named.HOST, "a.example", "url")]),
        ("http_request", {"url": "http://a.example:443/"}, [(Named.HOST, "a.example:443", "url")]),
        ("play", {"sound": "hello"}, [(Named.SOUND, "hello", "sound")]),
    ],
)
def test_each_name_is_found(
    verb: str, properties: dict[str, Any], found: list[tuple[Named, str, str]]
) -> None:
    """Of its kind; what a variable decides, and what is not said, is none."""
    flow = from_document(document(verb, properties, {"default": "end"}), checked=False)
    named = [(one.kind, one.name, one.path) for one in namings(flow)]
    assert named == [(kind, name, f"states.it.properties.{of}") for kind, name, of in found]


def test_which_names_are_known() -> None:
    """Whom to ring whatever the size of letters; a recording in its language; a host with its port too."""
    assert Naming(Named.DESTINATION, "head office", "").known(["Head Office"])
    assert not Naming(Named.HOURS, "salon", "").known(["Salon"])
    hello = Naming(Named.SOUND, "hello", "", "en/hello", "en")
    assert [hello.known([one]) for one in ("hello", "en/hello", "ru/hello")] == [True, True, False]
    host = Naming(Named.HOST, "a.example", "", "a.example:443")
    assert [host.known([one]) for one in ("a.example", "a.example:443", "a.example:80")] == [
        True,
        True,
        False,
    ]
