"""Triggers: whoever changes an hour whose figures are closed opens it again."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"

#: Moves a tenant's closed past back to the hour of `{at}`, where that is marked as over; see
#: dialer.reports.closing. It runs with the rights, and in the tenant, of whoever makes the change.
REOPEN = """
    CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql VOLATILE AS $$
    DECLARE
        changed timestamptz := {at};
    BEGIN
        UPDATE public.report_state
           SET closed_until = least(closed_until, date_trunc('hour', changed, 'UTC')),
               marked_until = date_trunc('hour', changed, 'UTC'),
               reopened = reopened + 1
         WHERE tenant_id = NEW.tenant_id AND marked_until > changed;
        RETURN NULL;
    END
    $$
"""
FUNCTIONS = {
    "report_new_attempt": "NEW.created_at",
    "report_changed_attempt": "least(OLD.created_at, NEW.created_at)",
    "report_new_time": "NEW.started_at",
    "report_ended_time": "least(OLD.ended_at, NEW.ended_at)",  # null, it goes on, is later than all
    "report_changed_time": "least(OLD.started_at, NEW.started_at)",
}
#: What figures are made of. Only hours without an open attempt are closed, so a change of an open one is none
#: of a closed hour. The number tells who was called only where no contact does.
ATTEMPT = (
    "campaign_id", "list_id", "contact_id", "trunk_id", "result", "agent_id", "created_at", "sent_at",
    "ringing_at", "answered_at", "connected_at", "ended_at", "join_ms", "answer_to_agent_ms",
)  # fmt: skip
TYPED = "CASE WHEN {row}.contact_id IS NULL THEN {row}.e164 END"
#: But for the end of a stretch, which comes to each.
TIME = ("agent_id", "state", "attempt_id", "started_at")
TRIGGERS = {
    "report_new_attempt": "INSERT ON attempt",
    "report_changed_attempt": "UPDATE ON attempt",
    "report_new_time": "INSERT ON agent_time",
    "report_ended_time": "UPDATE ON agent_time",
    "report_changed_time": "UPDATE ON agent_time",
}


def _differ(columns: tuple[str, ...]) -> str:
    """The condition that one of the columns has another value."""
    old, new = (", ".join(f"{row}.{column}" for column in columns) for row in ("OLD", "NEW"))
    return f"({old}) IS DISTINCT FROM ({new})"


CONDITIONS = {
    "report_changed_attempt": "OLD.ended_at IS NOT NULL AND ("
    f"{_differ(ATTEMPT)} OR {TYPED.format(row='OLD')} IS DISTINCT FROM {TYPED.format(row='NEW')})",
    "report_ended_time": "OLD.ended_at IS DISTINCT FROM NEW.ended_at",
    "report_changed_time": _differ(TIME),
}


def upgrade() -> None:
    for name, at in FUNCTIONS.items():
        op.execute(REOPEN.format(name=name, at=at))
        when = f"WHEN ({CONDITIONS[name]})" if name in CONDITIONS else ""
        op.execute(
            f"CREATE TRIGGER {name} AFTER {TRIGGERS[name]} FOR EACH ROW {when} EXECUTE FUNCTION {name}()"
        )
