"""What the API's own document says of refusals."""

from __future__ import annotations

from dialer.agents import http as agents_http
from dialer.calls import http as calls_http
from dialer.contacts import fields_http
from dialer.httpkit import openapi
from dialer.users import http as users_http

PATHS = openapi.document([agents_http.routes, calls_http.routes, users_http.routes])["paths"]


def test_every_operation_of_somebody_names_the_refusals_that_it_has() -> None:
    """Whoever must be logged in may be refused (401, 403), also by a row of somebody else's."""
    silent = [
        f"{method} {path}"
        for path, operations in PATHS.items()
        for method, operation in operations.items()
        if operation.get("security") != [] and not {"401", "403"} <= operation["responses"].keys()
    ]
    assert silent == []


def test_every_operation_names_the_absence_of_the_database() -> None:
    """Any of them may be answered by that (503), or a full disk; where Asterisk is asked, by its absence."""
    operations = [each for operations in PATHS.values() for each in operations.values()]
    assert len(operations) > 20
    for operation in operations:
        told = operation["responses"]["503"]["description"]
        assert "/problems/database-unavailable" in told
        assert "/problems/database-full" in told
    hang_up = PATHS["/api/v1/calls/{attempt_id}/hangup"]["post"]["responses"]
    assert "/problems/asterisk-unavailable" in hang_up["503"]["description"]
    assert "504" in hang_up


def test_who_is_no_agent_is_told_so() -> None:
    """What is asked of one's own agent, or of another user, names its 404."""
    asked = [
        operation
        for path, operations in PATHS.items()
        for method, operation in operations.items()
        if "/agents/me" in path or (method == "post" and path.endswith(("/agents", "/tokens", "/calls")))
    ]
    assert len(asked) > 8
    assert [one["operationId"] for one in asked if "404" not in one["responses"]] == []


def test_who_dials_by_hand_is_told_that_there_may_be_too_many_tries() -> None:
    """Each operation that dials for its caller slows down one whose calls are refused again and again."""
    dials = [PATHS[path]["post"] for path in ("/api/v1/calls", "/api/v1/leads/{lead_id}/dial")]
    assert [one["operationId"] for one in dials if "429" not in one["responses"]] == []


def test_a_document_of_json_is_told_as_an_object() -> None:
    """Whoever knows its type reads an object from it; other bodies that go by their type are text."""
    fields = openapi.document([fields_http.routes])["paths"]["/api/v1/contact-fields/schema"]
    told = {"application/schema+json": {"schema": {"type": "object"}}}
    assert fields["get"]["responses"]["200"]["content"] == told
    assert fields["put"]["requestBody"]["content"] == told
    table = PATHS["/api/v1/calls.csv"]["get"]["responses"]["200"]["content"]
    assert table == {"text/csv": {"schema": {"type": "string"}}}
