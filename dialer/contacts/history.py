"""What happened to a person: what was done to their card, and calls, promises, lists and consents with it.

Only what has no row elsewhere is written here: who changed what, from what to what. An attempt, a call that
came in, a place in a list, a consent, a promised call, a visit, a letter, a wish not to be called *is* the
row of what happened, so the history is read from all of them. Of do-not-call those entries are told that name
a number of the person: an area that is not called is nothing that happened to them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.clock import utc_now
from dialer.db import tables as t
from dialer.db.prepared import Prepared
from dialer.db.session import encode_json


class Kind(StrEnum):
    """What was done to a person's card; the words of `contact_event.kind`. Details say what exactly."""

    #: the card was made by hand
    CREATED = "created"
    #: {field: [old, new]}, and by an import {import_id, file} besides
    CHANGED = "changed"
    #: {e164, kind}; by an import {e164, import_id, file}
    PHONE_ADDED = "phone_added"
    #: {e164, field: [old, new]}
    PHONE_CHANGED = "phone_changed"
    #: {e164}
    PHONE_REMOVED = "phone_removed"
    #: {e164: the numbers in their new order}
    PHONES_ORDERED = "phones_ordered"
    #: {e164, by_calls}: the number leads to nobody
    PHONE_DEAD = "phone_dead"
    #: {e164, by_calls}: it does lead to somebody
    PHONE_REVIVED = "phone_revived"
    #: {merge_id, contact_id}: the other contact became part of this one
    MERGED = "merged"
    #: {merge_id, contact_id}: the other contact was taken out again
    MERGE_UNDONE = "merge_undone"
    #: {field: [old, new]}: values were brought to one form
    CLEANED = "cleaned"
    #: {callback_id, campaign, zone, from_at, until_at, agent: [old, new]}: for another time or agent
    CALLBACK_MOVED = "callback_moved"
    #: {callback_id, due_at: [old, new], moved}: a rule has put a promised call off
    CALLBACK_PUT_OFF = "callback_put_off"
    #: {callback_id, campaign, reason}: nobody was reached; the call was promised anew since
    CALLBACK_MISSED = "callback_missed"
    #: everything that is kept of the person was given out
    EXPORTED = "exported"
    #: the person was erased, and nothing before is left
    ERASED = "erased"


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened."""

    at: datetime
    #: a word of SOURCES
    source: str
    #: its row: the attempt's id, the consent's, ...
    key: str
    #: a word of `Kind` for an event; `missed` for a call that came in and was served by nobody; else the
    #: source, or the source with what became of it
    kind: str
    #: who did it, by their present name; None: the server itself, or nobody
    by: str | None
    #: what exactly; its names depend on the source
    detail: Mapping[str, Any]


#: What a page of history goes on from: `at`, `source` and `key` of the last entry seen.
Place = tuple[datetime, str, str]

_ADD = Prepared(
    """
    INSERT INTO contact_event (tenant_id, contact_id, at, kind, by_user, detail)
    SELECT CAST(:tenant_id AS integer), contact_id, CAST(:at AS timestamptz), kind, by_user, detail
      FROM unnest(CAST(:contact_ids AS bigint[]), CAST(:kinds AS text[]), CAST(:users AS bigint[]),
                  CAST(:details AS jsonb[]))
           WITH ORDINALITY AS fact (contact_id, kind, by_user, detail, place)
     ORDER BY place
    """
)


async def add(
    conn: AsyncConnection,
    tenant_id: int,
    contact_id: int,
    kind: str,
    by: int | None,
    detail: Mapping[str, Any] | None = None,
    *,
    at: datetime | None = None,
) -> None:
    """Write down what was done to a card, in the transaction that does it. `by`: a user; None: the server.
    `at`: when it happened, where that is not now."""
    await add_all(conn, tenant_id, [(contact_id, kind, by, detail or {})], at=at)


async def add_all(
    conn: AsyncConnection,
    tenant_id: int,
    facts: Sequence[tuple[int, str, int | None, Mapping[str, Any]]],
    *,
    at: datetime | None = None,
) -> None:
    """As `add`, of many cards in one statement: (contact_id, kind, by, detail) each."""
    if not facts:
        return
    await _ADD.run(
        conn,
        tenant_id=tenant_id,
        at=at or utc_now(),
        contact_ids=[fact[0] for fact in facts],
        kinds=[str(fact[1]) for fact in facts],
        users=[fact[2] for fact in facts],
        details=[encode_json(fact[3]) for fact in facts],
    )


async def forget(conn: AsyncConnection, tenant_id: int, contact_id: int) -> None:
    """Delete what was done to a card: old values are the person's."""
    c = t.contact_event.c
    await conn.execute(delete(t.contact_event).where(c.tenant_id == tenant_id, c.contact_id == contact_id))


_REFUSAL = """
    jsonb_build_object(
        'entry_id', d.id, 'e164', d.mark, 'source', d.source, 'reason', d.reason, 'registry', r.name,
        'campaign_id', d.campaign_id, 'campaign', p.name, 'attempt_id', d.attempt_id,
        'valid_from', d.valid_from, 'valid_until', d.valid_until)
"""
_REFUSED = """
      LEFT JOIN registry r ON r.tenant_id = d.tenant_id AND r.id = d.registry_id
      LEFT JOIN campaign p ON p.tenant_id = d.tenant_id AND p.id = d.campaign_id
     WHERE d.tenant_id = :tenant_id AND d.kind = 'number' AND d.mark = ANY (ARRAY(
           SELECT e164 FROM contact_phone WHERE tenant_id = :tenant_id AND contact_id = :contact_id))
"""

#: What both kinds of calls tell of the talk.
_TALK = """
    'campaign_id', a.campaign_id, 'campaign', p.name, 'e164', a.e164, 'state', a.state, 'result', a.result,
    'agent', g.name, 'talk_s', extract(epoch FROM coalesce(a.let_go_at, a.hung_up_at) - a.connected_at),
    'disposition_ru', d.label_ru, 'disposition_en', d.label_en, 'note', a.disposition_note
"""


def _calls(table: str) -> str:
    """The calls of a table to or from the person: those that know the card, and those of a number of theirs
    that know none."""
    return f"""(
        SELECT * FROM {table} WHERE tenant_id = :tenant_id AND contact_id = :contact_id
        UNION ALL
        SELECT * FROM {table}
         WHERE tenant_id = :tenant_id AND contact_id IS NULL AND e164 = ANY (ARRAY(
               SELECT e164 FROM contact_phone WHERE tenant_id = :tenant_id AND contact_id = :contact_id))
    ) a
    LEFT JOIN campaign p ON p.tenant_id = a.tenant_id AND p.id = a.campaign_id
    LEFT JOIN agent g ON g.tenant_id = a.tenant_id AND g.id = a.agent_id
    LEFT JOIN disposition d ON d.tenant_id = a.tenant_id AND d.id = a.disposition_id
    """  # noqa: S608 - a table of ours


def _recorded(whose: str) -> str:
    """Whether the talk can be heard, by this column of recordings."""
    return f"""EXISTS (SELECT FROM recording r
                        WHERE r.tenant_id = a.tenant_id AND r.{whose} = a.id AND r.status = 'whole')"""


#: source -> its rows as (at, key, kind, by_user, detail). Each is found by an index on the contact.
_SOURCES: Final[Mapping[str, str]] = {
    "event": """
        SELECT at, CAST(id AS text) AS key, kind, by_user, detail
          FROM contact_event WHERE tenant_id = :tenant_id AND contact_id = :contact_id
    """,
    "call": f"""
        SELECT a.created_at AS at, CAST(a.id AS text) AS key, 'call' AS kind, g.user_id AS by_user,
               jsonb_build_object({_TALK}, 'mode', a.mode, 'recording', {_recorded("attempt_id")}) AS detail
          FROM {_calls("attempt")}
    """,  # noqa: S608 - texts of ours
    # `way`: the states of the flow that they went through.
    "inbound": f"""
        SELECT a.created_at AS at, CAST(a.id AS text) AS key,
               CASE WHEN a.result IN ('abandoned', 'left') THEN 'missed' ELSE 'inbound' END AS kind,
               g.user_id AS by_user,
               jsonb_build_object(
                   {_TALK}, 'reason', a.reason, 'queue', a.queue, 'flow', f.name,
                   'wait_s', extract(epoch FROM coalesce(a.connected_at, a.hung_up_at) - a.queued_at),
                   'way', coalesce((SELECT jsonb_agg(s.state ORDER BY s.n) FROM flow_step s
                                     WHERE s.tenant_id = a.tenant_id AND s.call_id = a.id), '[]'),
                   'recording', {_recorded("inbound_call_id")}) AS detail
          FROM {_calls("inbound_call")}
          LEFT JOIN flow f ON f.tenant_id = a.tenant_id AND f.id = a.flow_id
    """,  # noqa: S608 - texts of ours
    "list": """
        SELECT m.added_at AS at, CAST(m.list_id AS text) AS key, 'list' AS kind,
               CAST(NULL AS bigint) AS by_user,
               jsonb_build_object('list_id', m.list_id, 'list', l.name) AS detail
          FROM list_contact m
          JOIN contact_list l ON l.tenant_id = m.tenant_id AND l.id = m.list_id
         WHERE m.tenant_id = :tenant_id AND m.contact_id = :contact_id
    """,
    "lead": """
        SELECT w.created_at AS at, CAST(w.id AS text) AS key, 'lead' AS kind,
               CAST(NULL AS bigint) AS by_user,
               jsonb_build_object('campaign_id', w.campaign_id, 'campaign', p.name, 'e164', w.e164) AS detail
          FROM lead w
          JOIN campaign p ON p.tenant_id = w.tenant_id AND p.id = w.campaign_id
         WHERE w.tenant_id = :tenant_id AND w.contact_id = :contact_id
    """,
    "consent": """
        SELECT created_at AS at, CAST(id AS text) AS key, 'consent' AS kind, by_user,
               jsonb_build_object('purpose', purpose, 'source', source, 'proof', proof,
                                  'valid_from', valid_from, 'valid_until', valid_until) AS detail
          FROM consent WHERE tenant_id = :tenant_id AND contact_id = :contact_id
    """,
    "withdrawal": """
        SELECT withdrawn_at AS at, CAST(id AS text) AS key, 'withdrawal' AS kind, withdrawn_by AS by_user,
               jsonb_build_object('purpose', purpose, 'source', source) AS detail
          FROM consent
         WHERE tenant_id = :tenant_id AND contact_id = :contact_id AND withdrawn_at IS NOT NULL
    """,
    # As it was promised first: what was changed since is told by itself.
    "callback": """
        SELECT b.made_at AS at, CAST(b.id AS text) AS key, 'callback' AS kind, b.made_by AS by_user,
               jsonb_build_object(
                   'callback_id', b.id, 'campaign_id', b.campaign_id, 'campaign', p.name, 'zone', b.zone,
                   'from_at', coalesce(f.detail -> 'from_at' -> 0, to_jsonb(b.from_at)),
                   'until_at', coalesce(f.detail -> 'until_at' -> 0, to_jsonb(b.until_at)),
                   'agent', coalesce(f.detail -> 'agent' -> 0, to_jsonb(g.name)), 'note', b.note) AS detail
          FROM callback b
          JOIN campaign p ON p.tenant_id = b.tenant_id AND p.id = b.campaign_id
          LEFT JOIN agent g ON g.tenant_id = b.tenant_id AND g.id = b.agent_id
          LEFT JOIN LATERAL (
              SELECT e.detail FROM contact_event e
               WHERE e.tenant_id = b.tenant_id AND e.contact_id = b.contact_id AND e.kind = 'callback_moved'
                 AND CAST(e.detail ->> 'callback_id' AS bigint) = b.id
               ORDER BY e.at, e.id LIMIT 1) f ON true
         WHERE b.tenant_id = :tenant_id AND b.contact_id = :contact_id
    """,
    "callback_end": """
        SELECT b.ended_at AS at, CAST(b.id AS text) AS key, 'callback_' || b.state AS kind,
               b.ended_by AS by_user,
               jsonb_build_object('callback_id', b.id, 'campaign_id', b.campaign_id, 'campaign', p.name,
                                  'reason', b.reason, 'attempt_id', b.attempt_id, 'agent', g.name) AS detail
          FROM callback b
          JOIN campaign p ON p.tenant_id = b.tenant_id AND p.id = b.campaign_id
          LEFT JOIN agent g ON g.tenant_id = b.tenant_id AND g.id = b.agent_id
         WHERE b.tenant_id = :tenant_id AND b.contact_id = :contact_id
           AND b.state IN ('done', 'missed', 'canceled') AND b.ended_at IS NOT NULL
    """,
    "visit": """
        SELECT v.booked_at AS at, CAST(v.id AS text) AS key, 'visit' AS kind, v.booked_by AS by_user,
               jsonb_build_object('at', v.at, 'place', v.place, 'note', v.note, 'state', v.state,
                                  'call_id', v.call_id, 'campaign', p.name) AS detail
          FROM visit v
          JOIN campaign p ON p.tenant_id = v.tenant_id AND p.id = v.campaign_id
         WHERE v.tenant_id = :tenant_id AND v.contact_id = :contact_id
    """,
    "letter": """
        SELECT l.asked_at AS at, CAST(l.id AS text) AS key, 'letter_' || l.state AS kind,
               l.asked_by AS by_user,
               jsonb_build_object('to', l.address, 'subject', l.subject, 'text', l.text, 'error', l.error,
                                  'sent_at', l.sent_at, 'call_id', l.call_id, 'campaign', p.name) AS detail
          FROM letter l
          JOIN campaign p ON p.tenant_id = l.tenant_id AND p.id = l.campaign_id
         WHERE l.tenant_id = :tenant_id AND l.contact_id = :contact_id
    """,
    "refusal": f"""
        SELECT d.added_at AS at, CAST(d.id AS text) AS key, 'refusal' AS kind, d.added_by AS by_user,
               {_REFUSAL} AS detail
          FROM do_not_call d {_REFUSED}
    """,  # noqa: S608 - texts of ours
    "refusal_end": f"""
        SELECT d.removed_at AS at, CAST(d.id AS text) AS key, 'refusal_end' AS kind, d.removed_by AS by_user,
               {_REFUSAL} || jsonb_build_object('reason', coalesce(d.removed_reason, '')) AS detail
          FROM do_not_call d {_REFUSED} AND d.removed_at IS NOT NULL
    """,  # noqa: S608 - texts of ours
}
#: What an entry of the history may come from: `event` is what was done to the card.
SOURCES: Final = tuple(_SOURCES)
_UNION = " UNION ALL ".join(
    f"SELECT '{source}' AS source, s.* FROM ({rows}) s"  # noqa: S608 - texts of ours
    for source, rows in _SOURCES.items()
)
_PAGE = Prepared(
    f"""
    SELECT h.at, h.source, h.key, h.kind, u.name AS by, h.detail
      FROM ({_UNION}) h
      LEFT JOIN app_user u ON u.tenant_id = :tenant_id AND u.id = h.by_user
     WHERE CAST(:at AS timestamptz) IS NULL
        OR (h.at, h.source, h.key) < (CAST(:at AS timestamptz), CAST(:source AS text), CAST(:key AS text))
     ORDER BY h.at DESC, h.source DESC, h.key DESC
     LIMIT :limit
    """  # noqa: S608 - texts of ours
)


async def page(
    conn: AsyncConnection, tenant_id: int, contact_id: int, *, after: Place | None = None, limit: int
) -> list[Entry]:
    """What happened to a person, newest first, following the entry at `after`.

    All rows of one person are looked at: hundreds, were they called every day of a year.
    """
    at, source, key = after or (None, None, None)
    rows = await _PAGE.rows(
        conn, tenant_id=tenant_id, contact_id=contact_id, at=at, source=source, key=key, limit=limit
    )
    return [Entry(*row) for row in rows]
