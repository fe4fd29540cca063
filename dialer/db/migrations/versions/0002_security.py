"""Row security on every table with a tenant, the app's rights, the functions that cross tenants, tenant 1."""

from __future__ import annotations

from alembic import op
from sqlalchemy import text

from dialer.db.migrations.security import APP, NAMED_TENANT, lend, secure

revision = "0002"
down_revision = "0001"

#: Tables that the app may add to but not rewrite: what happened stays as it was told.
APPEND_ONLY = {"audit", "event", "policy"}

#: What is known of a person, or of a number that is called, before their tenant is.
DOORS = {
    "find_login(text)": """
        CREATE FUNCTION find_login(login text)
        RETURNS TABLE (
            tenant_id integer, user_id bigint, name text, role text, locale text,
            password_hash text, disabled_at timestamptz
        )
        LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
        AS $$
            SELECT u.tenant_id, u.id, u.name, u.role, u.locale, u.password_hash, u.disabled_at
            FROM app_user u WHERE u.login = find_login.login
        $$
    """,
    "find_session(text)": """
        CREATE FUNCTION find_session(token_hash text)
        RETURNS TABLE (
            tenant_id integer, user_id bigint, name text, role text, locale text,
            csrf_token text, expires_at timestamptz, disabled_at timestamptz
        )
        LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
        AS $$
            SELECT u.tenant_id, u.id, u.name, u.role, u.locale, s.csrf_token, s.expires_at, u.disabled_at
            FROM user_session s JOIN app_user u ON u.tenant_id = s.tenant_id AND u.id = s.user_id
            WHERE s.token_hash = find_session.token_hash
        $$
    """,
    "find_token(text)": """
        CREATE FUNCTION find_token(token_hash text)
        RETURNS TABLE (
            tenant_id integer, user_id bigint, name text, role text, locale text,
            token_id bigint, scope text, last_used_at timestamptz, revoked_at timestamptz,
            disabled_at timestamptz
        )
        LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
        AS $$
            SELECT u.tenant_id, u.id, u.name, u.role, u.locale,
                   k.id, k.scope, k.last_used_at, k.revoked_at, u.disabled_at
            FROM api_token k JOIN app_user u ON u.tenant_id = k.tenant_id AND u.id = k.user_id
            WHERE k.token_hash = find_token.token_hash
        $$
    """,
    "find_called(text)": """
        CREATE FUNCTION find_called(number text) RETURNS integer
        LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
        AS $$
            SELECT n.tenant_id FROM inbound_number n WHERE n.number = find_called.number AND n.active
        $$
    """,
}

#: The order of events (see dialer.db.events for what it promises), and what only the owner may delete.
EVENTS = {
    # The lock ends after the commit is visible, so the next call's numbers are seen only after these.
    "number_events(integer)": """
        CREATE FUNCTION number_events(batch integer) RETURNS integer
        LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp
        AS $$
        DECLARE
            numbered integer;
            last bigint;
        BEGIN
            PERFORM pg_advisory_xact_lock(hashtext('dozvon.event.seq'));
            WITH fresh AS MATERIALIZED (
                SELECT tenant_id, id FROM event WHERE seq IS NULL ORDER BY id LIMIT batch
            ), given AS MATERIALIZED (
                SELECT tenant_id, id, nextval('event_seq') AS seq FROM fresh
            ), done AS (
                UPDATE event SET seq = given.seq FROM given
                WHERE event.tenant_id = given.tenant_id AND event.id = given.id
                RETURNING event.seq
            )
            SELECT count(*), max(seq) INTO numbered, last FROM done;
            IF numbered > 0 THEN
                PERFORM pg_notify('dozvon_events', last::text);
            END IF;
            RETURN numbered;
        END
        $$
    """,
    # The newest event always stays: it tells how far the numbers have come.
    "drop_events(interval, integer)": """
        CREATE FUNCTION drop_events(keep interval, batch integer) RETURNS integer
        LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp
        AS $$
        DECLARE
            dropped integer;
        BEGIN
            WITH oldest AS (
                SELECT seq FROM event WHERE seq IS NOT NULL ORDER BY seq LIMIT batch
            )
            DELETE FROM event USING oldest
            WHERE event.seq = oldest.seq AND event.at < now() - keep
                AND event.seq < (SELECT max(seq) FROM event);
            GET DIAGNOSTICS dropped = ROW_COUNT;
            RETURN dropped;
        END
        $$
    """,
    # The log of changes is a proof: whatever is asked, five years of it stay.
    "drop_audit(interval, integer)": f"""
        CREATE FUNCTION drop_audit(keep interval, batch integer) RETURNS integer
        LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp
        AS $$
        DECLARE
            dropped integer;
        BEGIN
            WITH oldest AS (
                SELECT id FROM audit WHERE tenant_id = {NAMED_TENANT} ORDER BY id LIMIT batch
            )
            DELETE FROM audit USING oldest
            WHERE audit.tenant_id = {NAMED_TENANT} AND audit.id = oldest.id
                AND audit.at < now() - greatest(keep, interval '1827 days');
            GET DIAGNOSTICS dropped = ROW_COUNT;
            RETURN dropped;
        END
        $$
    """,  # noqa: S608 - a constant of ours
    "event_span()": """
        CREATE FUNCTION event_span() RETURNS TABLE (oldest bigint, newest bigint)
        LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
        AS $$ SELECT coalesce(min(seq), 0), coalesce(max(seq), 0) FROM event $$
    """,
    # What files fill by the thousand: until PostgreSQL looks by itself, a minute later, plans were made for
    # tables that were empty. Only an owner may have it look.
    "analyze_grown(bigint)": """
        CREATE FUNCTION analyze_grown(grown bigint) RETURNS integer
        LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp
        AS $$
        DECLARE
            name text;
            looked integer := 0;
        BEGIN
            FOR name IN
                SELECT relname FROM pg_class
                WHERE relnamespace = 'public'::regnamespace AND grown > 50 + greatest(reltuples, 0) / 10
                    AND relname IN (
                        'contact', 'contact_phone', 'list_contact', 'lead', 'consent', 'do_not_call'
                    )
                ORDER BY relname
            LOOP
                EXECUTE format('ANALYZE (SKIP_LOCKED) %I', name);
                looked := looked + 1;
            END LOOP;
            RETURN looked;
        END
        $$
    """,
}


def upgrade() -> None:
    op.execute(f"GRANT USAGE ON SCHEMA public TO {APP}")
    # Imports stage their rows in a temporary table: COPY is refused where there is row security.
    database = op.get_bind().scalar(text("SELECT quote_ident(current_database())"))
    op.execute(f"GRANT TEMPORARY ON DATABASE {database} TO {APP}")
    # There they get their ids.
    op.execute(f"GRANT USAGE ON SEQUENCE contact_id_seq TO {APP}")
    op.execute(f"GRANT SELECT ON tenant, alembic_version TO {APP}")
    op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON process_status, server, node TO {APP}")
    for table in _tables_with_tenant():
        secure(table, **({"rights": "SELECT, INSERT"} if table in APPEND_ONLY else {}))
    op.execute("CREATE SEQUENCE event_seq AS bigint")
    for signature, function in {**DOORS, **EVENTS}.items():
        op.execute(function)
        lend(signature)
    op.execute("INSERT INTO tenant (id, name) VALUES (1, 'Dozvon')")


def _tables_with_tenant() -> list[str]:
    """Of the database at this revision, not of today's code."""
    query = """
        SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
          AND a.attname = 'tenant_id' AND NOT a.attisdropped
        ORDER BY c.relname
    """
    return list(op.get_bind().scalars(text(query)))
