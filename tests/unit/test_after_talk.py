"""Which flows a customer can go through after a talk."""

from __future__ import annotations

import pytest

from ivr_flows import after_talk, shipped
from ivr_flows.model import LANGUAGES


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_rating_that_comes_along_fits_and_names_its_questions(language: str) -> None:
    """Both languages ask the same."""
    flow = shipped.flow("rating", language)
    assert after_talk.misfits(flow) == []
    assert list(after_talk.questions(flow)) == ["rating.agent", "rating.settled"]
    assert all(title != name for name, title in after_talk.questions(flow).items())


def test_a_flow_that_leads_to_an_agent_does_not_fit() -> None:
    """Nor does one that promises calls: which states those are is told."""
    assert after_talk.misfits(shipped.flow("survey", "en")) == ["agent", "callback"]
