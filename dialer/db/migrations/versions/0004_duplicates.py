"""Triggers: a contact that is changed after it was looked at for duplicates is looked at again."""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"

#: What decides whether two contacts are one person.
COMPARED = ("last_name", "first_name", "middle_name", "email", "custom")

#: name -> (on which statement of which table, its transition tables, the contacts that it changed)
TRIGGERS = {
    "duplicates_changed_contact": (
        "UPDATE ON contact",
        "OLD TABLE AS gone NEW TABLE AS come",
        f"""
        SELECT c.tenant_id, c.id FROM come c JOIN gone g ON g.tenant_id = c.tenant_id AND g.id = c.id
         WHERE ({", ".join(f"c.{name}" for name in COMPARED)})
               IS DISTINCT FROM ({", ".join(f"g.{name}" for name in COMPARED)})
        """,  # noqa: S608 - names of ours
    ),
    "duplicates_new_phone": (
        "INSERT ON contact_phone",
        "NEW TABLE AS come",
        "SELECT tenant_id, contact_id FROM come",
    ),
    "duplicates_old_phone": (
        "DELETE ON contact_phone",
        "OLD TABLE AS gone",
        "SELECT tenant_id, contact_id FROM gone",
    ),
    "duplicates_changed_phone": (
        "UPDATE ON contact_phone",
        "OLD TABLE AS gone NEW TABLE AS come",
        """
        SELECT c.tenant_id, c.contact_id FROM come c JOIN gone g ON g.tenant_id = c.tenant_id AND g.id = c.id
         WHERE (c.contact_id, c.e164) IS DISTINCT FROM (g.contact_id, g.e164)
        """,
    ),
}

#: A contact above `done_id` will be looked at anyway: a first import of a million rows writes nothing here.
FUNCTION = """
    CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql VOLATILE AS $$
    BEGIN
        INSERT INTO public.duplicate_todo (tenant_id, contact_id)
        SELECT DISTINCT n.tenant_id, n.contact_id
          FROM ({changed}) AS n (tenant_id, contact_id)
          JOIN public.duplicate_state s ON s.tenant_id = n.tenant_id AND n.contact_id <= s.done_id
            ON CONFLICT DO NOTHING;
        RETURN NULL;
    END
    $$
"""


def upgrade() -> None:
    for name, (statement, tables, changed) in TRIGGERS.items():
        op.execute(FUNCTION.format(name=name, changed=changed))
        op.execute(
            f"CREATE TRIGGER {name} AFTER {statement} REFERENCING {tables}"
            f" FOR EACH STATEMENT EXECUTE FUNCTION {name}()"
        )
