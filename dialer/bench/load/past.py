"""A past for the reports: millions of attempts that were never made, and the agents' time with them.

Written by SQL, half a million in a statement; indexes, foreign keys and triggers are taken off meanwhile and
put back as they were.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import asyncpg

from dialer.bench.load.model import Say

#: A day of the past has so many attempts.
A_DAY: Final = 250_000
#: Attempts in one statement.
CHUNK: Final = 500_000
CAMPAIGNS, AGENTS = 10, 100

#: By the shares of `day.SHARES`; times as a call's states have them; each contact about 2.5 attempts.
_ATTEMPTS: Final = """
    INSERT INTO attempt (tenant_id, id, campaign_id, list_id, contact_id, e164, trunk_id, caller_id, mode,
                         policy, state, result, sip_code, cause, session_id, agent_id, hung_up_by,
                         created_at, sent_at, ringing_at, answered_at, screened_at, assigned_at,
                         connected_at, hung_up_at, ended_at, join_ms, answer_to_agent_ms, disposition_id,
                         disposed_at)
    SELECT 1, CAST(lpad(to_hex(n), 8, '0') || '-0000-7000-8000-' || lpad(to_hex(n), 12, '0') AS uuid),
           campaign, $4, contact, '+79' || lpad(CAST(contact AS text), 9, '0'), $5, '+74951234567',
           'progressive', 'ru/1', 'ended', result,
           CASE result WHEN 'busy' THEN 486 WHEN 'no_answer' THEN 480 WHEN 'invalid' THEN 404
                       WHEN 'declined' THEN 603 WHEN 'congestion' THEN 503 END,
           CASE result WHEN 'answered' THEN 16 WHEN 'busy' THEN 17 WHEN 'no_answer' THEN 19 END,
           CASE WHEN result = 'answered' THEN ($6::uuid[])[1 + agent % cardinality($6::uuid[])] END,
           CASE WHEN result = 'answered' THEN ($7::bigint[])[1 + agent % cardinality($7::bigint[])] END,
           CASE WHEN result = 'answered' THEN 'agent' END,
           at, at, at + interval '2 seconds',
           CASE WHEN live THEN at + interval '9 seconds' END,
           CASE WHEN live THEN at + interval '9 seconds' END,
           CASE WHEN result = 'answered' THEN at + interval '9 seconds' END,
           CASE WHEN result = 'answered' THEN at + interval '9.05 seconds' END,
           at + CASE WHEN result = 'answered' THEN interval '60 seconds' ELSE interval '20 seconds' END,
           at + CASE WHEN result = 'answered' THEN interval '75 seconds' ELSE interval '20 seconds' END,
           CASE WHEN result = 'answered' THEN 5 + 30 * random() ^ 3 END,
           CASE WHEN result = 'answered' THEN 40 + 400 * random() ^ 4 END,
           CASE WHEN result = 'answered' THEN $8::bigint END,
           CASE WHEN result = 'answered' THEN at + interval '75 seconds' END
      FROM (SELECT n, now() - make_interval(secs => ($2::bigint - n) * 86400.0 / $9::float8) AS at,
                   ($3::bigint[])[1 + n % cardinality($3::bigint[])] AS campaign,
                   1 + CAST(floor(random() * $2::bigint / 2.5) AS bigint) AS contact,
                   CAST(floor(random() * 1000) AS integer) AS agent,
                   result, result IN ('answered', 'caller_hung_up', 'abandoned') AS live
              FROM (SELECT n, CASE WHEN dice < 34 THEN 'answered' WHEN dice < 70 THEN 'no_answer'
                                   WHEN dice < 81 THEN 'busy' WHEN dice < 88 THEN 'invalid'
                                   WHEN dice < 94 THEN 'declined' WHEN dice < 96.5 THEN 'caller_hung_up'
                                   WHEN dice < 97 THEN 'abandoned' ELSE 'congestion' END AS result
                      FROM (SELECT n, random() * 100 AS dice
                              FROM generate_series($1::bigint, least($1 + $10::bigint - 1, $2)) n) d) r) p
"""
_TIMES: Final = """
    INSERT INTO agent_time (tenant_id, session_id, agent_id, state, attempt_id, started_at, ended_at)
    SELECT 1, session_id, agent_id, spent.state, spent.attempt_id, spent.since, spent.until
      FROM attempt a
     CROSS JOIN LATERAL (VALUES
            ('talking', a.id, a.connected_at, a.hung_up_at),
            ('wrap_up', a.id, a.hung_up_at, a.ended_at),
            ('ready', NULL, a.ended_at, a.ended_at + interval '20 seconds')
          ) AS spent (state, attempt_id, since, until)
     WHERE a.tenant_id = 1 AND a.result = 'answered'
"""


@asynccontextmanager
async def _bare(connection: asyncpg.Connection, table: str) -> AsyncIterator[None]:
    """The table without its indexes, foreign keys and triggers; afterwards with them, as they were."""
    keys = await connection.fetch(
        "SELECT conname, pg_get_constraintdef(oid) AS def FROM pg_constraint "
        "WHERE conrelid = $1::regclass AND contype = 'f'",
        table,
    )
    indexes = await connection.fetch(
        "SELECT i.indexrelid::regclass::text AS name, pg_get_indexdef(i.indexrelid) AS def FROM pg_index i "
        "WHERE i.indrelid = $1::regclass AND NOT i.indisprimary "
        "AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conindid = i.indexrelid)",
        table,
    )
    await connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
    for key in keys:
        await connection.execute(f'ALTER TABLE {table} DROP CONSTRAINT "{key["conname"]}"')
    for index in indexes:
        await connection.execute(f"DROP INDEX {index['name']}")
    yield
    await connection.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")
    for index in indexes:
        await connection.execute(index["def"])
    for key in keys:
        # Not looked through: what was made up names only agents and campaigns that are there.
        await connection.execute(
            f'ALTER TABLE {table} ADD CONSTRAINT "{key["conname"]}" {key["def"]} NOT VALID'
        )


async def write(
    connection: asyncpg.Connection,
    attempts: int,
    *,
    seed: int,
    campaigns: list[int],
    agents: list[int],
    list_id: int,
    trunk_id: int,
    disposition_id: int,
    say: Say,
) -> None:
    """So many attempts, A_DAY a day until now, as the owner of the tables."""
    await connection.execute(
        "SELECT set_config('dozvon.tenant', '1', false), setseed($1::float8)", 1 / (1 + seed)
    )
    await connection.execute("SET maintenance_work_mem = '512MB'")
    sessions = await connection.fetch(
        """
        INSERT INTO agent_session (tenant_id, id, agent_id, state, state_since, idle_since, logged_in_at,
                                   logged_out_at)
        SELECT 1, gen_random_uuid(), agent, 'offline', now(), now(), now() - interval '60 days', now()
          FROM unnest($1::bigint[]) agent
        RETURNING id, agent_id
        """,
        agents,
    )
    async with _bare(connection, "attempt"), _bare(connection, "agent_time"):
        for first in range(1, attempts + 1, CHUNK):
            await connection.execute(
                _ATTEMPTS,
                first,
                attempts,
                campaigns,
                list_id,
                trunk_id,
                [row["id"] for row in sessions],
                [row["agent_id"] for row in sessions],
                disposition_id,
                float(A_DAY),
                CHUNK,
            )
            say(f"past: {min(attempts, first + CHUNK - 1):,} attempts")
        await connection.execute(_TIMES)
        say("past: the agents' time; now the indexes")
    for table in ("attempt", "agent_time", "agent_session"):
        await connection.execute(f"VACUUM (ANALYZE) {table}")
