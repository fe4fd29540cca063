"""A base of so many people, as a car dealer's, written by the database itself: always the same."""

from __future__ import annotations

from collections.abc import Callable

from dialer.contacts.fields import CARS
from dialer.contacts.fields_service import FieldService
from dialer.db.session import Database, connect
from dialer.httpkit.access import Actor

TENANT = 1
ACTOR = Actor.server(TENANT)
#: What people drive.
MAKES = ("volvo", "skoda", "toyota", "lada", "kia", "hyundai", "bmw", "audi")

#: What is written, in order; `$1` is how many people. `hashint8` spreads values evenly and repeatably.
_STEPS = {
    "contacts": """
        INSERT INTO contact (tenant_id, last_name, first_name, timezone, created_at, custom)
        SELECT 1, (ARRAY['Иванов','Смирнова','Кузнецов','Попова','Соколов'])[1 + abs(hashint8(n)) % 5]
               || n % 997,
               (ARRAY['Анна','Мария','Алексей','Дмитрий'])[1 + abs(hashint8(n + 1)) % 4],
               CASE WHEN n % 10 = 0 THEN 'Asia/Yekaterinburg' END,
               now() - abs(hashint8(n + 2)) % 94608000 * interval '1 second',
               jsonb_build_object('Марка', 'Volvo', 'Модель', 'XC60', 'Год выпуска', '2019',
                                  'Выручка', n::text, 'Конец кредита', '31.12.2026',
                                  'Последний визит', '29.02.2024')
          FROM generate_series(1, $1::bigint) AS n
    """,
    "phones": """
        INSERT INTO contact_phone (tenant_id, contact_id, position, e164, kind, timezones)
        SELECT 1, id, 1, '+7' || (ARRAY['916','495','343','812'])[1 + id % 4] || lpad(id::text, 7, '0'),
               CASE WHEN id % 5 = 0 THEN 'fixed_line' ELSE 'mobile' END,
               CASE WHEN id % 4 = 2 THEN ARRAY['Asia/Yekaterinburg'] ELSE ARRAY['Europe/Moscow'] END
          FROM contact WHERE $1::bigint > 0
    """,
    "lists": """
        WITH made AS (
            INSERT INTO contact_list (tenant_id, name) VALUES (1, 'Base'), (1, 'Old'), (1, 'VIP')
            RETURNING id, name
        )
        INSERT INTO list_contact (tenant_id, list_id, contact_id)
        SELECT 1, m.id, c.id FROM contact c JOIN made m
            ON $1::bigint > 0 AND c.id % CASE m.name WHEN 'Base' THEN 1 WHEN 'Old' THEN 5 ELSE 50 END = 0
    """,
    "values": """
        INSERT INTO contact_value (tenant_id, contact_id, field_id, number, day, text)
        SELECT 1, c.id, f.id,
               CASE f.key WHEN 'revenue' THEN abs(hashint8(c.id * 7)) % 1000000
                          WHEN 'monthly_payment' THEN 10000 + abs(hashint8(c.id * 11)) % 90000
                          WHEN 'car_year' THEN 2005 + abs(hashint8(c.id * 13)) % 21 END,
               CASE f.key WHEN 'credit_end' THEN current_date - 700 + abs(hashint8(c.id * 17)) % 2500
                          WHEN 'last_visit' THEN current_date - abs(hashint8(c.id * 19)) % 2000 END,
               CASE f.key WHEN 'car_make' THEN (CAST($2 AS text[]))[1 + abs(hashint8(c.id * 23)) % 8] END
          FROM contact c CROSS JOIN custom_field f
         WHERE $1::bigint > 0 AND abs(hashint8(c.id * 29 + f.id)) % 100 < 85
           AND f.key IN ('revenue', 'monthly_payment', 'car_year', 'credit_end', 'last_visit', 'car_make')
    """,
    "activity": """
        INSERT INTO contact_activity (
            tenant_id, contact_id, attempts, talks, last_attempt_at, last_talk_at, last_result, last_code,
            last_kind
        )
        SELECT 1, id, 1 + id % 4, id % 2, now() - id % 365 * interval '1 day',
               now() - id % 365 * interval '1 day',
               (ARRAY['answered','no_answer','busy','machine'])[1 + abs(hashint8(id * 31)) % 4],
               'refused', (ARRAY['refusal','interest','sale'])[1 + abs(hashint8(id * 37)) % 3]
          FROM contact WHERE $1::bigint > 0 AND abs(hashint8(id * 41)) % 100 < 40
    """,
    "leads": """
        WITH campaign AS (
            INSERT INTO campaign (tenant_id, name, policy) VALUES (1, 'Spring', 'default') RETURNING id
        )
        INSERT INTO lead (tenant_id, campaign_id, list_id, contact_id, e164, timezones, open_from, open_until)
        SELECT 1, k.id, (SELECT min(id) FROM contact_list), p.contact_id, p.e164, p.timezones, now(), now()
          FROM contact_phone p CROSS JOIN campaign k
         WHERE $1::bigint > 0 AND p.contact_id % 10 < 3
    """,
}


_TABLES = ("contact", "contact_phone", "list_contact", "contact_value", "contact_activity", "lead")


async def fill(database: Database, owner_url: str, people: int, say: Callable[[str], None]) -> None:
    """Write the base, and let the database look at it as autovacuum does within the hour."""
    await FieldService(database).add_all(ACTOR, CARS)
    owner = await connect(owner_url, application="dozvon bench", timeout_s=60.0)
    try:
        for name, statement in _STEPS.items():
            more = [list(MAKES)] if name == "values" else []
            done = await owner.execute(statement, people, *more, timeout=3600)
            say(f"segments: {name}: {done}")
        for table in (
            "contact",
            "contact_phone",
            "list_contact",
            "contact_value",
            "contact_activity",
            "lead",
        ):
            await owner.execute(f"VACUUM (ANALYZE) {table}", timeout=3600)
    finally:
        await owner.close()
