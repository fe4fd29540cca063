"""A lead's place in its campaign, as SQL: the twin of `scheduler.order.sort_key`.

Written where a lead is made, moved or its campaign's order is changed, so that the claim reads one index. It
stands here because rooms below `scheduler` make leads; a test holds the two together.
"""

from __future__ import annotations


def sort_key(
    order: str, *, priority: str, added_at: str, attempts: str, contact_id: str, campaign_id: str
) -> str:
    """The SQL of a lead's key (bigint, lowest first; of equal ones the lead that was made first) from the SQL
    of the campaign's order and of the lead's columns. All of it is text of ours: no value is put in."""
    seed = f"convert_to({campaign_id} || ':' || {contact_id}, 'UTF8')"
    return f"""
        CASE {order}
        WHEN 'priority' THEN -CAST({priority} AS bigint)
        WHEN 'newest' THEN -CAST(floor(extract(epoch FROM {added_at}) * 1000000) AS bigint)
        WHEN 'random'
        THEN CAST(CAST('x' || substr(encode(sha256({seed}), 'hex'), 1, 8) AS bit(32)) AS bigint)
        WHEN 'fewest_attempts' THEN CAST({attempts} AS bigint)
        ELSE CAST(0 AS bigint) END
    """


#: Of a row of `lead` l whose campaign is k.
OF_LEAD = sort_key(
    "k.lead_order",
    priority="l.priority",
    added_at="l.created_at",
    attempts="l.attempts",
    contact_id="l.contact_id",
    campaign_id="l.campaign_id",
)
