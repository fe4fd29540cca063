"""The number plan of the loopback carrier and the contact list that is made of it."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from pathlib import Path

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialer.demo import numbers, people
from dialer.demo.invites import InviteCounter
from dialer.demo.numbers import Behaviour

DIALPLAN = Path(numbers.__file__).parent / "carrier_conf" / "extensions.conf"


@given(
    behaviour=st.sampled_from(Behaviour),
    ring_s=st.floats(0, 49.5),
    detail=st.integers(0, 999),
    prefix=st.sampled_from(numbers.PREFIXES),
)
def test_a_number_says_what_it_does(behaviour: Behaviour, ring_s: float, detail: int, prefix: int) -> None:
    """What is encoded is decoded again, the ring time to a quarter of a second."""
    planned = numbers.encode(behaviour, ring_s=ring_s, detail=detail, prefix=prefix)
    assert numbers.decode(planned.e164) == planned
    assert planned.behaviour is behaviour
    assert abs(planned.ring_s - ring_s) <= 0.25


@pytest.mark.parametrize(
    "number", ["", "79161231004", "+7916123100", "+78161231004", "+7916123100а", "+79161239904"]
)
def test_a_number_outside_the_plan_is_refused(number: str) -> None:
    """A number of another form or with an unknown behaviour has no meaning."""
    with pytest.raises(ValueError, match=r"."):
        numbers.decode(number)


def test_every_number_passes_the_check_of_phone_numbers() -> None:
    """The product's own check takes each mobile code and each behaviour for a Russian mobile number."""
    for prefix in numbers.PREFIXES:
        for behaviour in Behaviour:
            number = phonenumbers.parse(numbers.encode(behaviour, detail=prefix, prefix=prefix).e164)
            assert phonenumbers.is_valid_number(number)
            assert phonenumbers.number_type(number) == phonenumbers.PhoneNumberType.MOBILE


def test_the_carrier_has_an_extension_for_each_behaviour() -> None:
    """The dialplan and the enumeration know the same codes."""
    codes = re.findall(r"^exten => _79X{5}(\d\d)XX,1,", DIALPLAN.read_text(), re.MULTILINE)
    assert sorted(codes) == sorted(f"{behaviour.value:02d}" for behaviour in Behaviour)


def test_a_seed_decides_the_whole_list() -> None:
    """The same seed gives the same numbers in the same order, another seed others."""
    assert numbers.make_numbers(50, seed=1) == numbers.make_numbers(50, seed=1)
    assert numbers.make_numbers(50, seed=1) != numbers.make_numbers(50, seed=2)


@pytest.mark.parametrize(("n", "share"), [(60, 0.5), (200, 0.3), (40, 1.0), (40, 0.0), (1, 0.5), (0, 0.5)])
def test_the_share_of_people_is_exact(n: int, share: float) -> None:
    """As many numbers as asked, all different, and of them the asked share is answered by a person."""
    made = numbers.make_numbers(n, seed=7, human_share=share)
    assert len({planned.e164 for planned in made}) == n
    assert sum(planned.behaviour in numbers.LIVE for planned in made) == round(n * share)


def test_a_demo_list_has_every_usual_behaviour() -> None:
    """Sixty numbers are enough to meet each kind of answer and refusal."""
    kinds = {planned.behaviour for planned in numbers.make_numbers(60, seed=3)}
    assert kinds == numbers.LIVE_SHARES.keys() | numbers.OTHER_SHARES.keys()


def test_ring_times_have_the_asked_mean() -> None:
    """People who answer let the phone ring for the asked time on average."""
    made = numbers.make_numbers(4000, seed=5, human_share=1.0, ring_mean_s=4.0)
    rings = [planned.ring_s for planned in made if planned.behaviour is Behaviour.HUMAN]
    assert sum(rings) / len(rings) == pytest.approx(4.0, rel=0.05)
    assert len(set(rings)) > 10


def test_who_leaves_a_talk_does_so_in_its_time() -> None:
    """Talks that customers end are shorter where talks are short, and never longer than a number can say."""
    means = []
    for talk_mean_s in (8.0, 60.0):
        made = numbers.make_numbers(2000, seed=5, human_share=1.0, talk_mean_s=talk_mean_s)
        leavers = [planned.detail / 10 for planned in made if planned.behaviour is Behaviour.LEAVES_TALK]
        assert all(1.0 <= leaves_s < 100.0 for leaves_s in leavers)
        means.append(sum(leavers) / len(leavers))
    assert means == pytest.approx([4.0, 30.0], rel=0.15)


def test_a_number_may_say_how_long_the_network_takes() -> None:
    """Of two kinds the last digit of the mobile code is tenths of a second above one; others ring at once."""
    stays = numbers.encode(Behaviour.STAYS, ring_s=3.0, detail=60, prefix=27)
    assert (stays.setup_s, stays.ring_s, stays.stay_s) == (1.75, 3.0, 120.0)
    assert numbers.encode(Behaviour.RINGS_OUT, ring_s=25.0, prefix=10).setup_s == 1.05
    assert numbers.encode(Behaviour.HUMAN, ring_s=3.0, prefix=27).setup_s == 0.0
    assert {round(10 * setup_s - 10.5) for setup_s in numbers.SETUP_S.values()} == set(range(10))


def test_apportioned_counts_sum_to_the_total() -> None:
    """Rounding loses and adds nobody, and no kind is off by one or more."""
    for total in range(200):
        counts = numbers.apportion(total, numbers.OTHER_SHARES)
        assert sum(counts.values()) == total
        assert all(abs(counts[kind] - total * share) < 1 for kind, share in numbers.OTHER_SHARES.items())


# -- people --------------------------------------------------------------------------------------------------


def test_the_contact_list_knows_its_good_numbers() -> None:
    """Read back from the CSV, the good cells give exactly the numbers that the list promises."""
    contacts = people.make_contacts(80, seed=11, human_share=0.5, ring_mean_s=4.0)
    rows = list(csv.DictReader(io.StringIO(people.to_csv(contacts))))
    found = Counter[str]()
    bad = 0
    for row in rows:
        matches = list(phonenumbers.PhoneNumberMatcher(row["phone"], "RU"))
        good = {phonenumbers.format_number(m.number, phonenumbers.PhoneNumberFormat.E164) for m in matches}
        found.update(good)
        bad += not good
    first = {planned.e164 for planned in contacts.numbers}
    second = {planned.e164 for planned in contacts.second_numbers}
    assert set(found) == first | second
    assert len(first) == contacts.good == 80
    assert second
    assert not first & second
    assert bad == contacts.bad_rows > 0
    assert len(rows) == contacts.good + contacts.bad_rows + contacts.duplicate_rows
    assert contacts.duplicate_rows > 0


def test_contacts_are_people_with_cars() -> None:
    """A row has what a car dealer's list has, and the VIN and the loan can be true."""
    contacts = people.make_contacts(30, seed=2, human_share=0.5, ring_mean_s=4.0)
    for row in contacts.rows:
        assert re.fullmatch(r"[А-ЯЁ][а-яё]+ [А-ЯЁ][а-яё]+ [А-ЯЁ][а-яё]+", row["name"])
        assert re.fullmatch(r"[A-HJ-NPR-Z0-9]{17}", row["vin"])
        assert re.fullmatch(r"[a-z0-9.]+@example\.(com|net|org)", row["email"])
        assert row["timezone"].startswith(("Europe/", "Asia/"))
        assert int(row["monthly_payment"]) > 0
    assert people.make_contacts(30, seed=2, human_share=0.5, ring_mean_s=4.0) == contacts


# -- the carrier's log ---------------------------------------------------------------------------------------


def invite(number: str, call_id: str, *, to_tag: str = "") -> str:
    """A received INVITE as the carrier's Asterisk logs it."""
    return (
        "[2026-01-01 10:00:00.000] VERBOSE[1]: res_pjsip_logger.c:420 log: "
        "<--- Received SIP request (900 bytes) from UDP:127.0.0.1:5060 --->\n"
        f"INVITE sip:{number.removeprefix('+')}@127.0.0.1:6000 SIP/2.0\r\n"
        "Via: SIP/2.0/UDP 127.0.0.1:5060;rport;branch=z9hG4bK1\r\n"
        f"To: <sip:{number}@127.0.0.1>{to_tag}\r\n"
        f"Call-ID: {call_id}\r\n"
        "CSeq: 1 INVITE\r\n"
        "\r\n"
        "v=0\r\n"
        "\n"
    )


def invites_in(log: str) -> dict[str, set[str]]:
    """The Call-IDs of a whole log, by number."""
    counter = InviteCounter()
    counter.feed(log if log.endswith("\n") else log + "\n")
    return counter.calls()


def test_retransmissions_and_reinvites_are_one_call() -> None:
    """A repeated INVITE, one sent again with credentials and one within the call share their Call-ID."""
    text = invite("+79160001004", "a") * 3 + invite("+79160001004", "a", to_tag=";tag=1")
    assert invites_in(text) == {"+79160001004": {"a"}}


def test_two_calls_to_a_number_are_counted() -> None:
    """Another Call-ID is another call: that is a double dial."""
    text = invite("+79160001004", "a") + invite("+79160001004", "b") + invite("+79160001005", "c")
    assert invites_in(text) == {"+79160001004": {"a", "b"}, "+79160001005": {"c"}}


@pytest.mark.parametrize(
    "user", ["99", "+7916;ext=1", "%2B88213555123", "7916%0d%0a", "s", "+7916@evil", "a b"]
)
def test_a_user_that_is_no_number_is_told_as_it_is(user: str) -> None:
    """An injected or odd user is seen by whoever looks for calls that nobody planned, and by no number's."""
    text = invite("+79160001004", "a") + invite("79160001004", "b")
    odd = invite("79160001005", "c").replace("sip:79160001005@", f"sip:{user}@", 1)
    assert invites_in(text + odd) == {"+79160001004": {"a", "b"}, user: {"c"}}


def test_an_address_that_was_cut_or_has_no_user_is_told_whole() -> None:
    """A line break within it, and a call to the carrier itself."""
    cut = invite("79160001004", "a").replace("@127.0.0.1:6000 SIP/2.0\r", "", 1)
    bare = invite("79160001004", "b").replace("79160001004@127.0.0.1:6000", "127.0.0.1:6000", 1)
    assert invites_in(cut + bare) == {"sip:79160001004": {"a"}, "sip:127.0.0.1:6000": {"b"}}


def test_a_reinvite_to_the_contact_and_a_call_to_a_phone_are_no_calls_of_a_number() -> None:
    """Within a call the carrier is asked at its contact; agents' phones that it plays are no customers."""
    again = invite("x", "a", to_tag=";tag=1").replace("sip:x@127", "sip:127", 1)
    phone = invite("phone-demo-agent-1", "p")
    assert invites_in(invite("+79160001004", "a") + again + phone) == {"+79160001004": {"a"}}


def test_a_sent_invite_is_not_received() -> None:
    """What the carrier itself sends (to its own phones) is no call of the dialer."""
    text = invite("+79160001004", "a").replace("Received SIP request", "Transmitting SIP request")
    assert invites_in(text) == {}


def test_lines_of_others_between_the_headers_do_not_matter() -> None:
    """A log line that falls between two headers hides no call and joins none to another number."""
    other = "[2026-01-01 10:00:00.001] VERBOSE[2]: pbx.c: Executing Ringing\n\n"
    lines = [line + other for line in invite("+79160001004", "a").splitlines(keepends=True)]
    assert invites_in("".join(lines) + invite("+79160001005", "b")) == {
        "+79160001004": {"a"},
        "+79160001005": {"b"},
    }


@given(st.lists(st.integers(1, 400), max_size=20))
def test_a_log_read_in_pieces_counts_the_same(cuts: list[int]) -> None:
    """Wherever a growing log is cut between two readings, the count is that of the whole."""
    text = invite("+79160001004", "a") + invite("+79160001005", "b") + invite("+79160001004", "c")
    counter = InviteCounter()
    at = 0
    for cut in cuts:
        counter.feed(text[at : at + cut])
        at += cut
    counter.feed(text[at:])
    assert counter.calls() == invites_in(text)
