"""The SQL of scores: what people have scored, what is drawn for them, what calibrations come to."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.db.prepared import Prepared
from dialer.db.session import encode_json
from dialer.reviews.model import AgentFigure, Calibration, Form, Review, Scores, Talk, Task

# Only a talk that an agent had can be scored.
_TALK = Prepared(
    """
    SELECT c.id, c.inbound, c.agent_id, g.user_id AS agent_user_id
      FROM (SELECT tenant_id, id, agent_id, false AS inbound FROM attempt
             WHERE tenant_id = :tenant_id AND id = :id
             UNION ALL
            SELECT tenant_id, id, agent_id, true FROM inbound_call
             WHERE tenant_id = :tenant_id AND id = :id) c
      LEFT JOIN agent g ON g.tenant_id = c.tenant_id AND g.id = c.agent_id
    """
)
_REVIEW = """
    SELECT w.id, w.call_id, w.agent_id, g.name AS agent, w.form_id, f.name AS form, w.version, w.scorer_id,
           u.name AS scorer, w.scores, w.total, w.comment, w.made_at, w.changed_at
      FROM review w
      JOIN review_form f ON f.tenant_id = w.tenant_id AND f.id = w.form_id
      JOIN app_user u ON u.tenant_id = w.tenant_id AND u.id = w.scorer_id
      LEFT JOIN agent g ON g.tenant_id = w.tenant_id AND g.id = w.agent_id
     WHERE w.tenant_id = :tenant_id
"""
_OF_CALL = Prepared(f"{_REVIEW} AND w.call_id = :call_id AND w.calibration_id IS NULL ORDER BY w.id")
_OF_CALIBRATION = Prepared(f"{_REVIEW} AND w.calibration_id = :calibration_id ORDER BY w.id")
_PAGE = Prepared(
    f"""
    {_REVIEW} AND w.calibration_id IS NULL
       AND (CAST(:agent_id AS bigint) IS NULL OR w.agent_id = CAST(:agent_id AS bigint))
       AND (CAST(:form_id AS bigint) IS NULL OR w.form_id = CAST(:form_id AS bigint))
       AND w.made_at >= coalesce(CAST(:since AS timestamptz), '-infinity')
       AND w.made_at < coalesce(CAST(:until AS timestamptz), 'infinity')
       AND (w.made_at, w.id) < (coalesce(CAST(:after_at AS timestamptz), 'infinity'), CAST(:after AS bigint))
     ORDER BY w.made_at DESC, w.id DESC
     LIMIT :limit
    """
)
_KEEP = """
    INSERT INTO review (
        tenant_id, call_id, attempt_id, agent_id, form_id, version, calibration_id, scorer_id, scores, total,
        comment)
    VALUES (
        :tenant_id, :call_id, :attempt_id, :agent_id, :form_id, :version, :calibration_id, :scorer_id,
        CAST(:scores AS jsonb), :total, :comment)
    ON CONFLICT {conflict} DO UPDATE
        SET version = excluded.version, scores = excluded.scores, total = excluded.total,
            comment = excluded.comment, changed_at = now()
    RETURNING id
"""
_KEEP_OWN = Prepared(
    _KEEP.format(conflict="(tenant_id, call_id, form_id, scorer_id) WHERE calibration_id IS NULL")
)
_KEEP_BLIND = Prepared(
    _KEEP.format(conflict="(tenant_id, calibration_id, scorer_id) WHERE calibration_id IS NOT NULL")
)
_FIGURES = Prepared(
    """
    WITH chosen AS (
        SELECT w.tenant_id, w.id, w.agent_id, w.form_id, w.total, w.scores, v.criteria
          FROM review w
          JOIN review_form_version v
            ON v.tenant_id = w.tenant_id AND v.form_id = w.form_id AND v.version = w.version
         WHERE w.tenant_id = :tenant_id AND w.calibration_id IS NULL AND w.agent_id IS NOT NULL
           AND (CAST(:agent_id AS bigint) IS NULL OR w.agent_id = CAST(:agent_id AS bigint))
           AND w.made_at >= coalesce(CAST(:since AS timestamptz), '-infinity')
           AND w.made_at < coalesce(CAST(:until AS timestamptz), 'infinity')
    ), points AS (
        SELECT w.agent_id, w.form_id, c ->> 'key' AS key,
               100 * avg(CAST(w.scores ->> (c ->> 'key') AS float8) / CAST(c ->> 'most' AS float8)) AS mean
          FROM chosen w CROSS JOIN LATERAL jsonb_array_elements(w.criteria) c
         WHERE w.scores ->> (c ->> 'key') IS NOT NULL
         GROUP BY w.agent_id, w.form_id, c ->> 'key'
    )
    SELECT w.agent_id, g.name AS agent, w.form_id, f.name AS form, count(*) AS reviews, avg(w.total) AS total,
           coalesce((SELECT jsonb_object_agg(p.key, p.mean) FROM points p
                      WHERE p.agent_id = w.agent_id AND p.form_id = w.form_id), '{}') AS criteria
      FROM chosen w
      JOIN agent g ON g.tenant_id = w.tenant_id AND g.id = w.agent_id
      JOIN review_form f ON f.tenant_id = w.tenant_id AND f.id = w.form_id
     GROUP BY w.agent_id, g.name, w.form_id, f.name
     ORDER BY g.name, f.name
    """
)
_TASKS = Prepared(
    """
    SELECT t.plan_id, t.call_id, p.form_id, f.name AS form, t.agent_id, g.name AS agent, c.name AS campaign,
           coalesce(a.created_at, i.created_at) AS started_at, r.duration_s, t.week, w.scorer, w.total
      FROM review_task t
      JOIN review_plan p ON p.tenant_id = t.tenant_id AND p.id = t.plan_id
      JOIN review_form f ON f.tenant_id = p.tenant_id AND f.id = p.form_id
      JOIN agent g ON g.tenant_id = t.tenant_id AND g.id = t.agent_id
      LEFT JOIN attempt a ON a.tenant_id = t.tenant_id AND a.id = t.attempt_id
      LEFT JOIN inbound_call i ON i.tenant_id = t.tenant_id AND i.id = t.inbound_call_id
      JOIN campaign c ON c.tenant_id = t.tenant_id AND c.id = coalesce(a.campaign_id, i.campaign_id)
      LEFT JOIN LATERAL (
          SELECT duration_s FROM recording
           WHERE tenant_id = t.tenant_id AND status = 'whole'
             AND (attempt_id = t.attempt_id OR inbound_call_id = t.inbound_call_id)
           LIMIT 1) r ON true
      LEFT JOIN LATERAL (
          SELECT u.name AS scorer, v.total FROM review v
            JOIN app_user u ON u.tenant_id = v.tenant_id AND u.id = v.scorer_id
           WHERE v.tenant_id = t.tenant_id AND v.call_id = t.call_id AND v.form_id = p.form_id
             AND v.calibration_id IS NULL
           ORDER BY v.id LIMIT 1) w ON true
     WHERE t.tenant_id = :tenant_id AND t.week >= :since
       AND (CAST(:open AS boolean) IS NULL OR (w.scorer IS NULL) = CAST(:open AS boolean))
     ORDER BY t.week DESC, g.name, t.call_id
     LIMIT :limit
    """
)
_CALIBRATION = """
    SELECT k.id, k.call_id, k.form_id, f.name AS form, k.version, k.reason, u.name AS opened_by, k.opened_at,
           k.closed_at, (SELECT count(*) FROM review w
                          WHERE w.tenant_id = k.tenant_id AND w.calibration_id = k.id) AS scorers
      FROM calibration k
      JOIN review_form f ON f.tenant_id = k.tenant_id AND f.id = k.form_id
      LEFT JOIN app_user u ON u.tenant_id = k.tenant_id AND u.id = k.opened_by
     WHERE k.tenant_id = :tenant_id
"""
_CALIBRATIONS = Prepared(f"{_CALIBRATION} ORDER BY k.closed_at IS NOT NULL, k.id DESC LIMIT :limit")
_ONE_CALIBRATION = Prepared(f"{_CALIBRATION} AND k.id = :id")
_LOCK_CALIBRATION = Prepared(
    "SELECT id FROM calibration WHERE tenant_id = :tenant_id AND id = :id FOR UPDATE"
)
_OPEN_OF_CALL = Prepared(
    f"{_CALIBRATION} AND k.call_id = :call_id AND k.closed_at IS NULL ORDER BY k.id DESC"
)
_OPEN = Prepared(
    """
    INSERT INTO calibration (tenant_id, call_id, attempt_id, form_id, version, reason, opened_by)
    VALUES (:tenant_id, :call_id, :attempt_id, :form_id, :version, :reason, :by)
    RETURNING id
    """
)
_CLOSE = Prepared(
    "UPDATE calibration SET closed_at = :at WHERE tenant_id = :tenant_id AND id = :id AND closed_at IS NULL"
)


async def talk(conn: AsyncConnection, tenant_id: int, call_id: UUID) -> Talk | None:
    """A call, whoever had it."""
    row = await _TALK.row(conn, tenant_id=tenant_id, id=call_id)
    return Talk(**row) if row else None


# -- scores --------------------------------------------------------------------------------------------------


async def keep(
    conn: AsyncConnection,
    tenant_id: int,
    of: Talk,
    form: Form,
    scorer_id: int,
    scores: Scores,
    total: float,
    comment: str,
    *,
    calibration_id: int | None = None,
) -> int:
    """What the scorer says of the call by this form, in place of what they have said before; its id."""
    statement = _KEEP_OWN if calibration_id is None else _KEEP_BLIND
    made: int = await statement.value(
        conn,
        tenant_id=tenant_id,
        call_id=of.id,
        attempt_id=None if of.inbound else of.id,
        agent_id=of.agent_id,
        form_id=form.id,
        version=form.version,
        calibration_id=calibration_id,
        scorer_id=scorer_id,
        scores=encode_json(dict(scores)),
        total=total,
        comment=comment,
    )
    return made


async def of_call(conn: AsyncConnection, tenant_id: int, call_id: UUID) -> list[Review]:
    """All that count, oldest first."""
    return [Review(**row) for row in await _OF_CALL.rows(conn, tenant_id=tenant_id, call_id=call_id)]


async def of_calibration(conn: AsyncConnection, tenant_id: int, calibration_id: int) -> list[Review]:
    """Of all scorers."""
    rows = await _OF_CALIBRATION.rows(conn, tenant_id=tenant_id, calibration_id=calibration_id)
    return [Review(**row) for row in rows]


async def page(
    conn: AsyncConnection,
    tenant_id: int,
    *,
    agent_id: int | None,
    form_id: int | None,
    since: datetime | None,
    until: datetime | None,
    after: tuple[datetime, int] | None,
    limit: int,
) -> list[Review]:
    """Those that count, newest first, following the one with the key `after`."""
    at, number = after or (None, 0)
    rows = await _PAGE.rows(
        conn,
        tenant_id=tenant_id,
        agent_id=agent_id,
        form_id=form_id,
        since=since,
        until=until,
        after_at=at,
        after=number,
        limit=limit,
    )
    return [Review(**row) for row in rows]


async def figures(
    conn: AsyncConnection,
    tenant_id: int,
    *,
    agent_id: int | None,
    since: datetime | None,
    until: datetime | None,
) -> list[AgentFigure]:
    """By agent and form."""
    rows = await _FIGURES.rows(conn, tenant_id=tenant_id, agent_id=agent_id, since=since, until=until)
    return [AgentFigure(**row) for row in rows]


async def tasks(
    conn: AsyncConnection, tenant_id: int, since: date, *, open_: bool | None, limit: int
) -> list[Task]:
    """Calls that were drawn of weeks since then, those of the last week first; `open_`: nobody has scored
    them yet."""
    rows: Sequence[Any] = await _TASKS.rows(conn, tenant_id=tenant_id, since=since, open=open_, limit=limit)
    return [Task(**row) for row in rows]


# -- calibration ---------------------------------------------------------------------------------------------


async def calibrations(conn: AsyncConnection, tenant_id: int, limit: int) -> list[Calibration]:
    """Open ones first, then the newest."""
    return [Calibration(**row) for row in await _CALIBRATIONS.rows(conn, tenant_id=tenant_id, limit=limit)]


async def open_of_call(conn: AsyncConnection, tenant_id: int, call_id: UUID) -> list[Calibration]:
    """Those that go on."""
    rows = await _OPEN_OF_CALL.rows(conn, tenant_id=tenant_id, call_id=call_id)
    return [Calibration(**row) for row in rows]


async def calibration(
    conn: AsyncConnection, tenant_id: int, calibration_id: int, *, lock: bool = False
) -> Calibration | None:
    """One."""
    if lock:
        await _LOCK_CALIBRATION.run(conn, tenant_id=tenant_id, id=calibration_id)
    row = await _ONE_CALIBRATION.row(conn, tenant_id=tenant_id, id=calibration_id)
    return Calibration(**row) if row else None


async def open_calibration(
    conn: AsyncConnection, tenant_id: int, of: Talk, form: Form, reason: str, by: int | None
) -> int:
    """Begin one; its id."""
    made: int = await _OPEN.value(
        conn,
        tenant_id=tenant_id,
        call_id=of.id,
        attempt_id=None if of.inbound else of.id,
        form_id=form.id,
        version=form.version,
        reason=reason,
        by=by,
    )
    return made


async def close(conn: AsyncConnection, tenant_id: int, calibration_id: int, at: datetime) -> bool:
    """No more scores; False: it was closed."""
    return await _CLOSE.run(conn, tenant_id=tenant_id, id=calibration_id, at=at) > 0
