"""Servers, Asterisk nodes, and which server answers for what."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Integer, Table, Text, text

from dialer.db.tables.base import metadata, now_at, one_of, tenant_table, time_at

# The words of the state columns; the rules over them live in the model.py of their features.
LEASE_KINDS = ("campaign", "phones")

#: A server of the installation: its engine counts `beat` up while it lives. See dialer.servers.model.
server = Table(
    "server",
    metadata,
    Column("name", Text, primary_key=True),
    Column("epoch", BigInteger, nullable=False),  # the how manieth start it is
    Column("beat", BigInteger, nullable=False),
    Column("ami_user", Text, nullable=False),  # its user at each Asterisk: who takes over ends its sessions
    Column("agi_address", Text),  # host:port by which each Asterisk reaches it; none: not said yet
    now_at("started_at"),
    now_at("seen_at"),
    time_at("stopped_at"),  # it has said that it ends
)

#: An Asterisk server that the engines drive.
node = Table(
    "node",
    metadata,
    Column("name", Text, primary_key=True),
    Column("ami_host", Text, nullable=False),
    Column("ami_port", Integer, nullable=False),
    Column("draining", Boolean, nullable=False, server_default=text("false")),
    now_at(),
)

#: Which server paces a campaign and answers for its calls, or keeps a tenant's phones up. Whoever writes for
#: it reads this row FOR SHARE in the same transaction and goes by `fence`.
lease = tenant_table(
    "lease",
    Column("kind", Text, nullable=False),
    Column("key", BigInteger, nullable=False),  # the campaign's id; 0 for phones
    Column("server", Text, nullable=False),
    Column("fence", BigInteger, nullable=False),  # grows with each change of hands
    Column("wants", Boolean, nullable=False, server_default=text("true")),  # a campaign that asks for agents
    now_at("taken_at"),
    one_of("kind", LEASE_KINDS),
    key=("kind", "key"),
)
