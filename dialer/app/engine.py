"""The engine's parts and their wires."""

from __future__ import annotations

from dialer.agents.roster import Roster
from dialer.asterisk.ami import Address, AmiLink
from dialer.asterisk.fastagi import FastAgiServer
from dialer.asterisk.nodes import Nodes
from dialer.calls.consulting import Consulting
from dialer.calls.controls import Controls
from dialer.calls.in_turn import InTurn
from dialer.calls.journal import DatabaseJournal
from dialer.calls.kept_terms import KeptTerms
from dialer.calls.letting_go import LettingGo
from dialer.calls.lines import TrunkLines
from dialer.calls.listening import Listening
from dialer.calls.outside import Outside
from dialer.calls.phones import Phones
from dialer.calls.placing import Placer
from dialer.calls.recovery import Recovery
from dialer.calls.steering import Steering
from dialer.calls.switchboard import Switchboard
from dialer.calls.table import CallTable
from dialer.calls.tracking import EVENTS as ASTERISK_EVENTS
from dialer.calls.tracking import Tracker
from dialer.calls.voices import Voices
from dialer.calls.wrapups import WrapUpLimits
from dialer.campaigns.paces import Paces
from dialer.campaigns.runner import Runner
from dialer.campaigns.terms import DatabaseTermsBook
from dialer.check.proof import ROUTE as PROOF
from dialer.check.proof import answer as answer_proof
from dialer.db.listen import ENGINE, Listener
from dialer.db.lock import Alone
from dialer.db.pulse import Pulse
from dialer.db.session import Database
from dialer.engine import Engine
from dialer.inbound.flows import Flows
from dialer.inbound.forwarding import Forwarding
from dialer.inbound.handing_over import HandingOver
from dialer.inbound.leading import Leader
from dialer.inbound.outgoing import Outgoing
from dialer.inbound.reception import Reception
from dialer.inbound.surveying import Surveying
from dialer.inbound.verbs import carriers
from dialer.inbound.ways import Ways
from dialer.managed import Renderer
from dialer.prompts.player import Prompts
from dialer.recordings.recorder import Recorder
from dialer.reports.settled_store import settled
from dialer.servers.ownership import Ownership
from dialer.servers.store import NodeRow, sessions_of
from dialer.settings import Settings


def build_engine(settings: Settings, database_url: str) -> Engine:
    """The engine, not yet running."""
    database = Database.open(
        database_url, pool=settings.database_pool, application=sessions_of(settings.server_name)
    )
    listener = Listener(database_url, (ENGINE,))
    nodes = Nodes()
    ownership = Ownership(database, settings.server_name, settings.ami_user)

    def link_to(node: NodeRow) -> AmiLink:
        return AmiLink(
            Address(node.ami_host, node.ami_port, settings.ami_user, settings.ami_password()),
            action_timeout_s=settings.ami_timeout_s,
            ping_s=settings.ami_ping_s,
            wanted=ASTERISK_EVENTS,
        )

    journal = DatabaseJournal(database, ownership)
    calls = CallTable(journal)
    tracker = Tracker(calls)
    agi = FastAgiServer(settings.agi_host, settings.agi_port)
    agi.route(PROOF, answer_proof)
    terms = DatabaseTermsBook(database, settings.prompts_dir)
    lines = TrunkLines()
    tracker.contacts.append(lines.contact)
    placer = Placer(database, nodes, ownership, calls, tracker, lines, settings.agi_address or "")
    roster = Roster(database)
    switchboard = Switchboard(database, nodes, ownership, calls, tracker, roster, settings.keep_customer_s)
    in_turn = InTurn(database, calls, placer, terms, ownership.paces, switchboard.agents_changed)
    switchboard.kept = in_turn
    sounds, region = Prompts.of(settings, database), settings.default_region
    outside = Outside(database, ownership, lines)
    forwarding = Forwarding(database, calls, switchboard, outside)
    agi.route("answered", forwarding.answered)
    verbs = carriers(database, calls, switchboard, sounds, region, settings.recording_dir, forwarding)
    recorder = Recorder(database, nodes, settings.recording_dir)
    steering = Steering(nodes, calls, tracker)
    letting_go = LettingGo(database, steering, outside, sounds, lambda: placer.agi_address)
    consulting = Consulting(database, steering, switchboard, letting_go)
    leader, flows = Leader(calls, verbs, Ways(database)), Flows()
    handing_over = HandingOver(database, leader)
    return Engine(
        database=database,
        pulse=Pulse(database, database_url),
        alone=Alone(database_url, settings.server_name),
        listener=listener,
        own_node=NodeRow(settings.node_name, settings.ami_host, settings.ami_port, draining=False),
        link_to=link_to,
        nodes=nodes,
        ownership=ownership,
        agi=agi,
        journal=journal,
        calls=calls,
        tracker=tracker,
        switchboard=switchboard,
        in_turn=in_turn,
        reception=Reception(
            database,
            nodes,
            ownership,
            calls,
            switchboard,
            KeptTerms(terms),
            leader,
            region,
            handing_over,
            flows,
        ),
        outgoing=Outgoing(database, calls, switchboard, leader, flows, handing_over),
        surveying=Surveying(database, calls, leader, flows),
        placer=placer,
        phones=Phones(
            database, nodes, tracker, ownership.owns_phones, switchboard.agents_changed, switchboard.keeps_for
        ),
        voices=Voices(nodes, calls, tracker),
        recorder=recorder,
        listening=Listening(database, nodes),
        controls=Controls(database, steering, switchboard, recorder, consulting, letting_go),
        wrap_ups=WrapUpLimits(database, calls),
        recovery=Recovery(database, ownership, calls, tracker, terms),
        terms=terms,
        roster=roster,
        runner=Runner(
            database,
            calls,
            placer,
            terms,
            settings.tick_ms / 1000,
            nodes,
            ownership,
            Paces(database, calls, journal.drain, settled),
            roster,
            in_turn.standing,
        ),
        render=Renderer(settings, database) if settings.asterisk == "managed" else None,
    )
