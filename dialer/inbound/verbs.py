"""What carries out each verb of a flow: the one list of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from dialer.calls.switchboard import Switchboard
from dialer.calls.table import CallTable
from dialer.db.session import Database
from dialer.inbound.clocks import Clocks
from dialer.inbound.deeds import Deeds
from dialer.inbound.forwarding import Forwarding
from dialer.inbound.jumps import Jumps
from dialer.inbound.keeping import Keeping, Voices
from dialer.inbound.leading import Carrier
from dialer.inbound.lookups import Lookups
from dialer.inbound.messages import Messages
from dialer.inbound.offering import Offering
from dialer.inbound.playing import Playing
from dialer.inbound.promises import Promises
from dialer.inbound.requests import Requests
from dialer.inbound.waiting import Waiting
from dialer.offers.service import ListedOffers
from ivr_flows.model import (
    Action,
    Ask,
    CheckHours,
    Dial,
    Enqueue,
    GoTo,
    Lookup,
    Offer,
    OfferAnswer,
    OptOut,
    RecordConsent,
    Request,
    RequestCallback,
    Say,
    Transfer,
    Voicemail,
)


def carriers(
    database: Database,
    calls: CallTable,
    switchboard: Switchboard,
    sounds: Voices,
    region: str,
    recordings: Path,
    forwarding: Forwarding,
) -> Mapping[type[Action], Carrier]:
    """By the kind of action. `region`: the country of numbers that are given without one; `recordings`: the
    folder of what is recorded."""
    playing = Playing(sounds)
    deeds = Deeds(database, region)
    keeping = Keeping(database, sounds, region)
    offering = Offering(ListedOffers(database))
    return {
        Say: playing.say,
        Ask: playing.ask,
        Lookup: Lookups(database, region).look_up,
        CheckHours: Clocks(database).check,
        Offer: offering.offer,
        OfferAnswer: offering.answer,
        Request: Requests(database).ask,
        OptOut: deeds.opt_out,
        RecordConsent: deeds.record_consent,
        Dial: forwarding.dial,
        Transfer: forwarding.transfer,
        Enqueue: Waiting(database, calls, switchboard, sounds, keeping).enqueue,
        GoTo: Jumps(database).go_to,
        Voicemail: Messages(database, calls, recordings).take,
        RequestCallback: Promises(database, region, keeping).promise,
    }
