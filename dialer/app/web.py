"""The parts of the pages and the API."""

from __future__ import annotations

from aiohttp import web

from dialer.agents import http as agents_http
from dialer.agents import messages_http
from dialer.agents.ice import IceServers
from dialer.agents.messages import MessageService
from dialer.agents.phones import BrowserPhones
from dialer.agents.service import AgentService
from dialer.app import quality, segments
from dialer.app.script_deeds import ScriptDeeds
from dialer.asterisk.speech import Speaker
from dialer.boards import alerts_http, what_if_http
from dialer.boards import http as boards_http
from dialer.boards.alerts import AlertService
from dialer.boards.moving import MovingService
from dialer.boards.service import BoardService
from dialer.boards.what_if_service import WhatIfService
from dialer.callbacks import http as callbacks_http
from dialer.callbacks.service import CallbackService
from dialer.calls import controls_http, listening_http, proofs_http
from dialer.calls import http as calls_http
from dialer.calls.commands import CommandDesk
from dialer.calls.controlling import CallControls
from dialer.calls.listeners import ListeningService
from dialer.calls.proofs import Proofs
from dialer.calls.service import CallService
from dialer.campaigns import http as campaigns_http
from dialer.campaigns import leads_http
from dialer.campaigns.leads import LeadService
from dialer.campaigns.service import CampaignService
from dialer.campaigns.sounds import PromptSounds
from dialer.contacts import erasure_http, imports_http, lists_http, mappings_http, people_http, previews_http
from dialer.contacts import http as contacts_http
from dialer.contacts.erasure import ErasureService
from dialer.contacts.exporting import ExportService
from dialer.contacts.keys import CONTACTS
from dialer.contacts.mappings import MappingService
from dialer.contacts.people import PersonService
from dialer.contacts.previews import PreviewService
from dialer.contacts.service import ContactService
from dialer.db.events import Numberer
from dialer.db.listen import EVENTS, REPLIES, Listener
from dialer.db.pulse import Pulse
from dialer.db.session import Database
from dialer.destinations import http as destinations_http
from dialer.destinations.service import DestinationService
from dialer.donotcall import http as donotcall_http
from dialer.donotcall.service import DoNotCallService
from dialer.hooks import http as hooks_http
from dialer.hooks.fastagi import HookAgi
from dialer.hooks.service import HookService
from dialer.hosts import http as hosts_http
from dialer.hosts.service import HostService
from dialer.hours import http as hours_http
from dialer.hours.service import HoursService
from dialer.httpkit import stream
from dialer.httpkit.application import Background, build_application
from dialer.inbound import http as inbound_http
from dialer.inbound import missed_rule_http, reasons_http, trying_http
from dialer.inbound.missed_rule import MissedRules
from dialer.inbound.reasons import ReasonService
from dialer.inbound.screen import Screens
from dialer.inbound.service import InboundService
from dialer.inbound.trying import Trials
from dialer.inbound.uses import flows_that_name, led_to_queue
from dialer.knowledge import http as knowledge_http
from dialer.knowledge.service import KnowledgeService
from dialer.letters.mail import MailServer
from dialer.monitoring import http as monitoring_http
from dialer.monitoring.service import MonitoringService
from dialer.offers import http as offers_http
from dialer.offers.service import OfferService
from dialer.policies import http as policies_http
from dialer.policies.service import PolicyService
from dialer.prompts import http as prompts_http
from dialer.prompts.player import Prompts
from dialer.prompts.service import PromptService
from dialer.prompts.soundset import SoundSet
from dialer.queues import figures_http
from dialer.queues import http as queues_http
from dialer.queues.figures import QueueFigures
from dialer.queues.service import QueueService
from dialer.recordings import http as recordings_http
from dialer.recordings.service import RecordingService
from dialer.reports import http as reports_http
from dialer.reports.service import FigureService, PaceService
from dialer.reports.shift import ShiftService
from dialer.reviews import http as reviews_http
from dialer.reviews.forms import FormService
from dialer.reviews.service import ReviewService
from dialer.scripts import http as scripts_http
from dialer.scripts.service import ScriptService
from dialer.settings import Settings
from dialer.surveys import http as surveys_http
from dialer.surveys.service import SurveyService
from dialer.trunks import http as trunks_http
from dialer.trunks.service import TrunkService
from dialer.users import http as users_http
from dialer.users.service import UserService
from dialer.vault.files import Vault
from dialer.visits import http as visits_http
from dialer.visits.service import VisitService
from dialer.voicemail import http as voicemail_http
from dialer.voicemail.service import VoicemailService
from dialer.web.pages import add_pages
from dialer.whynot import http as whynot_http
from dialer.whynot.service import WhyNotService


def build_web(settings: Settings, database_url: str) -> web.Application:
    """Pages and API, with the numberer of events."""
    database = Database.open(database_url, pool=settings.database_pool)
    listener = Listener(database_url, (EVENTS, REPLIES))
    desk = CommandDesk(database, listener)
    vault = Vault.of(settings)
    agents = AgentService(database, managed=settings.asterisk == "managed")
    users = UserService(database, session_hours=settings.session_hours, leaves=agents.user_leaves)
    speaker = Speaker.of(settings)
    sounds = SoundSet.of(settings)
    prompts = Prompts(database, settings.prompts_dir, speaker, sounds)
    why_not = WhyNotService(database, settings)
    screens = Screens(database)
    do_not_call = DoNotCallService(database, settings)
    callbacks = CallbackService(database)
    people = PersonService(database, settings)
    queues = QueueService(database, led_to_queue)
    hooks = HookService(
        database, settings, do_not_call=do_not_call, callbacks=callbacks, people=people, queues=queues
    )
    hooks_agi: dict[str, Background] = {}
    if settings.hooks_agi_port is not None:
        hooks_agi["hooks"] = HookAgi(settings.hooks_agi_host, settings.hooks_agi_port, hooks, users).run
    app = build_application(
        settings,
        database,
        listener,
        users,
        (
            users_http.routes,
            campaigns_http.routes,
            leads_http.routes,
            policies_http.routes,
            trunks_http.routes,
            queues_http.routes,
            figures_http.routes,
            lists_http.routes,
            people_http.routes,
            erasure_http.routes,
            *quality.ROUTES,
            *segments.ROUTES,
            imports_http.routes,
            previews_http.routes,
            mappings_http.routes,
            contacts_http.routes,
            donotcall_http.routes,
            boards_http.routes,
            alerts_http.routes,
            what_if_http.routes,
            messages_http.routes,
            agents_http.routes,
            calls_http.routes,
            controls_http.routes,
            listening_http.routes,
            trying_http.routes,
            inbound_http.routes,
            missed_rule_http.routes,
            destinations_http.routes,
            hosts_http.routes,
            reasons_http.routes,
            hours_http.routes,
            offers_http.routes,
            callbacks_http.routes,
            proofs_http.routes,
            prompts_http.routes,
            recordings_http.routes,
            reviews_http.routes,
            surveys_http.routes,
            scripts_http.routes,
            visits_http.routes,
            knowledge_http.routes,
            voicemail_http.routes,
            reports_http.routes,
            whynot_http.routes,
            hooks_http.routes,
        ),
        services={
            users_http.USERS: users,
            campaigns_http.CAMPAIGNS: CampaignService(
                database, PromptSounds(speaker, settings.prompts_dir, settings.locale), why_not
            ),
            whynot_http.WHY_NOT: why_not,
            leads_http.LEADS: LeadService(database, settings.default_region),
            policies_http.POLICY_SERVICE: PolicyService(database),
            trunks_http.TRUNKS: TrunkService(database),
            queues_http.QUEUES: queues,
            figures_http.QUEUE_FIGURES: QueueFigures(database),
            CONTACTS: ContactService(database, settings),
            people_http.PEOPLE: people,
            erasure_http.ERASURE: ErasureService(database, vault),
            erasure_http.EXPORT: ExportService(database, vault),
            previews_http.PREVIEWS: PreviewService(database, settings),
            mappings_http.MAPPINGS: MappingService(database),
            **quality.services(database, settings),
            **segments.services(database),
            donotcall_http.DO_NOT_CALL: do_not_call,
            agents_http.AGENTS: agents,
            messages_http.MESSAGES: MessageService(database),
            boards_http.BOARDS: BoardService(database),
            boards_http.MOVING: MovingService(database),
            alerts_http.ALERTS: AlertService(database),
            what_if_http.WHAT_IF: WhatIfService(database, settings.prompts_dir),
            agents_http.PHONES: BrowserPhones(database, desk, IceServers.of(settings)),
            callbacks_http.CALLBACKS: callbacks,
            hooks_http.HOOKS: hooks,
            calls_http.CALLS: CallService(database, desk, settings),
            controls_http.CONTROLS: CallControls(database, desk),
            listening_http.LISTENING: ListeningService(database, desk),
            destinations_http.DESTINATIONS: DestinationService(database, flows_that_name),
            hosts_http.HOSTS: HostService(database, flows_that_name),
            inbound_http.INBOUND: InboundService(database, prompts),
            inbound_http.SCREENS: screens,
            missed_rule_http.MISSED_RULES: MissedRules(database),
            trying_http.TRIALS: Trials(database),
            stream.TELLERS: {"call.assigned": screens.tell},
            reasons_http.REASONS: ReasonService(database),
            hours_http.HOURS: HoursService(database, flows_that_name),
            offers_http.OFFERS: OfferService(database, flows_that_name),
            proofs_http.PROOFS: Proofs(database),
            prompts_http.PROMPTS: PromptService(database, settings, speaker, sounds, flows_that_name),
            recordings_http.RECORDINGS: RecordingService(database, vault, settings.default_region),
            reviews_http.REVIEWS: ReviewService(database),
            reviews_http.REVIEW_FORMS: FormService(database),
            surveys_http.SURVEYS: SurveyService(database),
            knowledge_http.KNOWLEDGE: KnowledgeService(database),
            visits_http.VISITS: VisitService(database),
            scripts_http.SCRIPTS: ScriptService(
                database, ScriptDeeds(letters=MailServer.of(settings) is not None)
            ),
            voicemail_http.VOICEMAIL: VoicemailService(database, vault),
            reports_http.FIGURES: FigureService(database),
            reports_http.PACES: PaceService(database),
            reports_http.SHIFTS: ShiftService(database),
        },
        background={
            "pulse": Pulse(database, database_url).run,
            "listener": listener.run,
            "numberer": Numberer(database_url).run,
            **hooks_agi,
        },
    )

    monitoring_http.add(app, MonitoringService(database))

    add_pages(app)

    async def close(_app: web.Application) -> None:
        users.close()
        await database.close()

    app.on_cleanup.append(close)
    return app
