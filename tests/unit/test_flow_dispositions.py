"""What flows say that calls came to, and whether campaigns know it."""

from __future__ import annotations

from typing import Any

import pytest

from dialer.campaigns.model import usual_dispositions
from ivr_flows import shipped, yamlfile
from ivr_flows.dispositions import codes


def state(verb: str, **properties: Any) -> dict[str, Any]:
    """A state of a flow, as it is written."""
    return {"name": "it", "type": verb, "properties": properties}


@pytest.mark.parametrize(
    ("states", "named"),
    [
        (
            [state("set", values={"disposition": "sale"}), state("set", values={"disposition": "sale"})],
            ["sale"],
        ),
        ([state("menu", into="disposition", values={"1": "yes", "2": "no"})], ["yes", "no"]),
        ([state("menu", into="visit", values={"1": "yes"}), state("set", values={"visit": "x"})], []),
        ([state("set", values={"disposition": "{said}"}), {"name": "it", "type": "hangup"}], []),
    ],
)
def test_the_codes_that_a_flow_names(states: list[dict[str, Any]], named: list[str]) -> None:
    """Each once, of states that set the variable or keep keys in it; a text with a variable is none."""
    assert codes({"states": states}) == named


@pytest.mark.parametrize("name", shipped.NAMES)
@pytest.mark.parametrize("language", ["ru", "en"])
def test_campaigns_without_agents_know_what_shipped_flows_say(name: str, language: str) -> None:
    """Whoever chooses a flow that comes along can start; a survey and a visit say more than one thing."""
    document = yamlfile.read(shipped.text(name, language), name).value
    named = codes(document)
    assert set(named) <= {one.code for one in usual_dispositions("flow")}
    assert len(named) > 2 or name not in ("survey", "visit")
