"""Whether a person has agreed to be called."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialer.compliance.consent import Consent, Given, Lack, NotGiven, consent_for
from dialer.compliance.policy import Purpose

ADS, ANY = Purpose.ADVERTISING, Purpose.ANY
NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def agreed(
    purpose: Purpose = Purpose.ADVERTISING,
    *,
    since: int = -10,
    until: int | None = None,
    withdrawn: int | None = None,
    number: int = 1,
) -> Consent:
    """A consent; its times in days from NOW."""
    return Consent(
        id=number,
        purpose=purpose,
        source="form",
        proof="",
        valid_from=NOW + since * DAY,
        valid_until=None if until is None else NOW + until * DAY,
        withdrawn_at=None if withdrawn is None else NOW + withdrawn * DAY,
    )


@pytest.mark.parametrize(
    ("consents", "purpose", "said"),
    [
        ([], ADS, NotGiven(Lack.NONE)),
        ([agreed()], ADS, Given(agreed(), None)),
        ([agreed()], Purpose.SURVEY, NotGiven(Lack.NONE)),
        ([agreed(ANY)], Purpose.SURVEY, Given(agreed(ANY), None)),
        ([agreed()], ANY, NotGiven(Lack.NONE)),
        ([agreed(until=5)], ADS, Given(agreed(until=5), NOW + 5 * DAY)),
        ([agreed(until=0)], ADS, NotGiven(Lack.EXPIRED)),
        ([agreed(since=3)], ADS, NotGiven(Lack.NOT_YET, NOW + 3 * DAY)),
        ([agreed(withdrawn=-1)], ADS, NotGiven(Lack.WITHDRAWN)),
        ([agreed(withdrawn=1)], ADS, Given(agreed(withdrawn=1), None)),
        # The longest proves the call.
        ([agreed(until=2), agreed(until=9, number=2)], ADS, Given(agreed(until=9, number=2), NOW + 9 * DAY)),
        # Whoever withdraws one form withdraws the other, older one too.
        ([agreed(withdrawn=-1), agreed(since=-20, number=2)], ADS, NotGiven(Lack.WITHDRAWN)),
        ([agreed(withdrawn=-5), agreed(since=-2, number=2)], ADS, Given(agreed(since=-2, number=2), None)),
        # "No advertising" also out of a consent to anything; the rest of that stands.
        ([agreed(withdrawn=-1), agreed(ANY, number=2)], ADS, NotGiven(Lack.WITHDRAWN)),
        ([agreed(withdrawn=-1), agreed(ANY, number=2)], Purpose.SERVICE, Given(agreed(ANY, number=2), None)),
        ([agreed(withdrawn=-1), agreed(ANY, number=2)], ANY, NotGiven(Lack.WITHDRAWN)),
        ([agreed(ANY, withdrawn=-1), agreed(number=2)], ADS, NotGiven(Lack.WITHDRAWN)),
    ],
)  # fmt: skip
def test_the_last_word_counts(consents: list[Consent], purpose: Purpose, said: Given | NotGiven) -> None:
    """One question a row: what is on record, what the calls are for, and the answer."""
    assert consent_for(consents, purpose, NOW) == said


days = st.integers(-100, 100)
records = st.builds(
    agreed,
    st.sampled_from(Purpose),
    since=days,
    until=st.none() | days,
    withdrawn=st.none() | days,
    number=st.integers(1, 99),
)


@given(st.lists(records, max_size=6), st.sampled_from(Purpose))
def test_what_is_given_holds_now(consents: list[Consent], purpose: Purpose) -> None:
    """A yes names a consent that covers the purpose, has begun, is not over and was not withdrawn."""
    said = consent_for(consents, purpose, NOW)
    if isinstance(said, Given):
        one = said.consent
        assert one in consents
        assert one.purpose in (purpose, Purpose.ANY)
        assert one.valid_from <= NOW
        assert one.valid_until is None or one.valid_until > NOW
        assert one.withdrawn_at is None or one.withdrawn_at > NOW
        assert said.until == one.valid_until


@given(st.lists(records, max_size=6), records, st.sampled_from(Purpose))
def test_a_withdrawal_never_allows_more(consents: list[Consent], other: Consent, purpose: Purpose) -> None:
    """With one more withdrawn consent on record nothing is allowed that was not without it."""
    withdrawn = agreed(other.purpose, since=-50, withdrawn=-1, number=500)
    if isinstance(consent_for([*consents, withdrawn], purpose, NOW), Given):
        assert isinstance(consent_for(consents, purpose, NOW), Given)


@given(st.lists(records, max_size=6), st.sampled_from(Purpose))
def test_the_order_of_records_says_nothing(consents: list[Consent], purpose: Purpose) -> None:
    """Shuffled records give the same kind of answer with the same end."""
    shuffled = list(reversed(consents))
    one, other = consent_for(consents, purpose, NOW), consent_for(shuffled, purpose, NOW)
    assert type(one) is type(other)
    assert one.until == other.until
