"""Every table, in one place: what the server knows.

The rules that all of them follow:

- Every primary key begins with `tenant_id`, and so does every foreign key between business tables. Row
  security (see `migrations/`) admits only the rows of the tenant that the transaction names.
- An *attempt* and its `active_number` are committed before anything is dialled (see `attempt`).
- Times are `timestamptz`. Durations that are kept say their unit in their name.
- Enumerations are text with a CHECK made from the Python enumeration that owns the rule, so a new member is
  a one-line migration and a reader of the table needs no key.
"""

from __future__ import annotations

from dialer.db.tables.agents import AGENT_STATES, agent, agent_session, agent_time, pause_code
from dialer.db.tables.base import metadata
from dialer.db.tables.callbacks import CALLBACK_AWAY, CALLBACK_STATES, callback
from dialer.db.tables.calls import CALL_STATES, RECORDING_STATUSES, RESULTS, active_number, attempt, recording
from dialer.db.tables.campaigns import (
    CAMPAIGN_PURPOSES,
    CAMPAIGN_STATUSES,
    DIAL_MODES,
    DISPOSITION_KINDS,
    LEAD_HOLDS,
    LEAD_ORDERS,
    LEAD_STATUSES,
    campaign,
    campaign_trunk,
    disposition,
    lead,
)
from dialer.db.tables.contacts import (
    DEAD_REASONS,
    IMPORT_STATUSES,
    contact,
    contact_list,
    contact_phone,
    import_job,
    import_mapping,
    import_owed,
    import_reject,
    list_contact,
)
from dialer.db.tables.donotcall import (
    DNC_IMPORT_STATUSES,
    DNC_KINDS,
    DNC_SOURCES,
    do_not_call,
    do_not_call_import,
    registry,
)
from dialer.db.tables.hooks import hook_outcome, hook_token, survey_answer
from dialer.db.tables.hopper import LEAD_CHANGES, campaign_list, campaign_quota, lead_change
from dialer.db.tables.inbound import (
    FLOW_STATES,
    INBOUND_RESULTS,
    allowed_host,
    flow,
    flow_step,
    flow_version,
    inbound_call,
    inbound_number,
)
from dialer.db.tables.people import (
    CONSENT_PURPOSES,
    consent,
    contact_event,
    forgotten_number,
    forgotten_salt,
)
from dialer.db.tables.policies import policy
from dialer.db.tables.processes import command, event, pacing_tick, process_status
from dialer.db.tables.prompts import PROMPT_LANGUAGES, prompt
from dialer.db.tables.quality import (
    CLEANING_STATUSES,
    PAIR_STATUSES,
    cleaning_run,
    contact_key,
    contact_merge,
    dead_number_rule,
    duplicate_pair,
    duplicate_state,
    duplicate_todo,
)
from dialer.db.tables.queues import QUEUE_OVERFLOWS, QUEUE_RULES, STAY_ENDS, queue, queue_stay
from dialer.db.tables.reports import REPORT_GROUPS, report_figures, report_over, report_state, report_time
from dialer.db.tables.segments import (
    FIELD_TYPES,
    activity_state,
    campaign_segment,
    contact_activity,
    contact_misfit,
    contact_value,
    custom_field,
    rfm_grid,
    segment,
)
from dialer.db.tables.servers import LEASE_KINDS, lease, node, server
from dialer.db.tables.trunks import TRUNK_HEALTH, tenant_cap, tenant_load, trunk, trunk_load, trunk_rate
from dialer.db.tables.users import (
    ROLES,
    TOKEN_SCOPES,
    api_token,
    app_user,
    audit,
    idempotency,
    tenant,
    user_session,
)

__all__ = [
    "AGENT_STATES",
    "CALLBACK_AWAY",
    "CALLBACK_STATES",
    "CALL_STATES",
    "CAMPAIGN_PURPOSES",
    "CAMPAIGN_STATUSES",
    "CLEANING_STATUSES",
    "CONSENT_PURPOSES",
    "DEAD_REASONS",
    "DIAL_MODES",
    "DISPOSITION_KINDS",
    "DNC_IMPORT_STATUSES",
    "DNC_KINDS",
    "DNC_SOURCES",
    "FIELD_TYPES",
    "FLOW_STATES",
    "IMPORT_STATUSES",
    "INBOUND_RESULTS",
    "LEAD_CHANGES",
    "LEAD_HOLDS",
    "LEAD_ORDERS",
    "LEAD_STATUSES",
    "LEASE_KINDS",
    "PAIR_STATUSES",
    "PROMPT_LANGUAGES",
    "QUEUE_OVERFLOWS",
    "QUEUE_RULES",
    "RECORDING_STATUSES",
    "REPORT_GROUPS",
    "RESULTS",
    "ROLES",
    "STAY_ENDS",
    "TOKEN_SCOPES",
    "TRUNK_HEALTH",
    "active_number",
    "activity_state",
    "agent",
    "agent_session",
    "agent_time",
    "allowed_host",
    "api_token",
    "app_user",
    "attempt",
    "audit",
    "callback",
    "campaign",
    "campaign_list",
    "campaign_quota",
    "campaign_segment",
    "campaign_trunk",
    "cleaning_run",
    "command",
    "consent",
    "contact",
    "contact_activity",
    "contact_event",
    "contact_key",
    "contact_list",
    "contact_merge",
    "contact_misfit",
    "contact_phone",
    "contact_value",
    "custom_field",
    "dead_number_rule",
    "disposition",
    "do_not_call",
    "do_not_call_import",
    "duplicate_pair",
    "duplicate_state",
    "duplicate_todo",
    "event",
    "flow",
    "flow_step",
    "flow_version",
    "forgotten_number",
    "forgotten_salt",
    "hook_outcome",
    "hook_token",
    "idempotency",
    "import_job",
    "import_mapping",
    "import_owed",
    "import_reject",
    "inbound_call",
    "inbound_number",
    "lead",
    "lead_change",
    "lease",
    "list_contact",
    "metadata",
    "node",
    "pacing_tick",
    "pause_code",
    "policy",
    "process_status",
    "prompt",
    "queue",
    "queue_stay",
    "recording",
    "registry",
    "report_figures",
    "report_over",
    "report_state",
    "report_time",
    "rfm_grid",
    "segment",
    "server",
    "survey_answer",
    "tenant",
    "tenant_cap",
    "tenant_load",
    "trunk",
    "trunk_load",
    "trunk_rate",
    "user_session",
]
