"""Which servers are dead, and who takes what they owned; what a node may be called."""

from __future__ import annotations

import pytest

from dialer.errors import Invalid, SettingsError
from dialer.servers.model import (
    BEAT_S,
    BLIND_AFTER_S,
    DEAD_AFTER_S,
    PATIENCE_S,
    Beat,
    Lease,
    LeaseKey,
    LeaseKind,
    Watch,
    check_node,
    preferred,
    to_take,
)
from dialer.settings import load

CAMPAIGNS = [LeaseKey(1, LeaseKind.CAMPAIGN, number) for number in range(300)]


def says(beat: int, *, epoch: int = 1, stopped: bool = False) -> list[Beat]:
    """What the other server's row says."""
    return [Beat("other", epoch, beat, stopped, "ami-other"), Beat("me", 1, 7, False, "ami-me")]


def seen(watch: Watch, beat: int, from_s: float, until_s: float) -> list[float]:
    """Look each second at a beat that stands still; the times at which its server is dead."""
    times = [from_s + n * BEAT_S for n in range(int((until_s - from_s) / BEAT_S) + 1)]
    return [at_s for at_s in times if watch.look(says(beat), at_s)]


def test_a_beat_that_stands_still_is_a_dead_servers() -> None:
    """Not before the whole time has been seen to pass, and at once when it beats again."""
    watch = Watch("me")
    dead = seen(watch, 5, 100.0, 110.0)
    assert min(dead) - 100.0 >= DEAD_AFTER_S
    assert min(dead) - 100.0 < DEAD_AFTER_S + BEAT_S
    assert watch.look(says(6), 111.0) == frozenset()


def test_time_in_which_we_did_not_look_does_not_count() -> None:
    """A server that was frozen itself, or without a database, does not take the living for dead."""
    watch = Watch("me")
    assert watch.look(says(5), 100.0) == frozenset()
    assert watch.look(says(5), 100.0 + BLIND_AFTER_S + 60.0) == frozenset()


def test_after_the_database_was_away_nobody_is_dead_so_soon() -> None:
    """The others may find it again seconds after we did; who has said that it ends is not spared."""
    watch = Watch("me")
    watch.look(says(5), 100.0)
    dead = seen(watch, 5, 200.0, 230.0)
    assert min(dead) - 200.0 >= PATIENCE_S
    assert watch.look(says(5, stopped=True), 300.0) == {"other"}


def test_a_new_start_is_a_sign_of_life() -> None:
    """Its beat begins anew, at a number that may have been seen before."""
    watch = Watch("me")
    assert seen(watch, 5, 100.0, 110.0)
    assert watch.look(says(5, epoch=2), 111.0) == frozenset()


def test_who_says_that_it_ends_is_not_waited_for() -> None:
    """What it owned can be taken at once."""
    assert Watch("me").look(says(5, stopped=True), 100.0) == {"other"}


def test_nobody_watches_oneself() -> None:
    """One's own beat may stand still as long as it will."""
    watch = Watch("me")
    assert not any("me" in watch.look(says(n), 100.0 + n) for n in range(20))


def test_what_a_dead_server_owned_is_spread_over_the_living() -> None:
    """Each is taken by exactly one, and what the living own stays where it is."""
    held = [Lease(of, ("a", "b", "gone")[of.key % 3], 1) for of in CAMPAIGNS]
    living = {"a", "b", "c"}
    taken = {me: to_take(me, CAMPAIGNS, held, living) for me in living}
    everything = [of for of_one in taken.values() for of in of_one]
    assert sorted(everything) == [of for of in CAMPAIGNS if of.key % 3 == 2]
    assert all(len(of_one) >= 20 for of_one in taken.values()), "one has nearly all"


def test_what_nobody_wants_is_not_taken() -> None:
    """A campaign that has ended stays with its last owner."""
    assert to_take("me", [], [Lease(CAMPAIGNS[0], "gone", 1)], {"me"}) == []


def test_one_server_less_moves_only_what_it_had() -> None:
    """What the others are preferred for stays with them."""
    three, two = {"a", "b", "c"}, {"a", "b"}
    moved = [of for of in CAMPAIGNS if preferred(of, three) != preferred(of, two)]
    assert moved == [of for of in CAMPAIGNS if preferred(of, three) == "c"]


@pytest.mark.parametrize(
    ("name", "host"),
    [
        ("a", "10.0.0.2"),
        ("node-2.b_c", "pbx-1.example.com"),
        ("9" * 64, "::1"),
        ("b", "localhost"),
        ("b", "fd00::5"),
        ("b", "my_pbx."),
    ],
)
def test_nodes_that_can_be(name: str, host: str) -> None:
    """A name as the setting takes it; a host by its name or its address."""
    check_node(name, host, 5038)
    assert load(node_name=name).node_name == name


@pytest.mark.parametrize("name", ["", "bad name;rm", "-b", ".b", "a" * 65, "узел", "b\n"])
def test_names_that_no_node_has(name: str) -> None:
    """The setting of a server's own node takes none of them either."""
    with pytest.raises(Invalid, match=r"^name: .* take up to 64 letters, digits"):
        check_node(name, "10.0.0.2", 5038)
    with pytest.raises(SettingsError):
        load(node_name=name)


@pytest.mark.parametrize(
    "host",
    ["", "ho st", "10.0.0.300", "10.0.0", "a..b", "-a", "a;b", "fe80::1%a b", "хост", "a" * 254, "a\n"],
)
def test_hosts_that_are_none(host: str) -> None:
    """Neither a name nor an address."""
    with pytest.raises(Invalid, match=r"^host: .* give a name such as"):
        check_node("b", host, 5038)


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_ports_that_are_none(port: int) -> None:
    """TCP has 65535 of them."""
    with pytest.raises(Invalid, match=r"^port: .* give 1 to 65535"):
        check_node("b", "10.0.0.2", port)
