"""Saved mappings with a real database: kept, proposed, used."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import select
from support.imports import BOSS

from dialer.contacts import mappingstore
from dialer.contacts.mappings import MappingService, fitting
from dialer.db import tables as t
from dialer.db.session import Database
from dialer.errors import Conflict, Forbidden, Invalid, NotFound
from dialer.httpkit.access import Actor, Role

AUTUMN = {"Тел": "phone", "Авто": "custom:car", "№": "skip"}


@pytest.fixture
def service(database: Database) -> MappingService:
    """The service on a fresh database."""
    return MappingService(database)


async def test_a_mapping_is_saved_changed_and_removed(service: MappingService, database: Database) -> None:
    """Each change stands in the log of changes."""
    made = await service.add(BOSS, "Автосалон", AUTUMN)
    assert (made.name, made.columns, made.used_at) == ("Автосалон", AUTUMN, None)
    changed = await service.change(BOSS, made.id, name="Сервис")
    assert (changed.name, changed.columns) == ("Сервис", AUTUMN)
    changed = await service.change(BOSS, made.id, columns={"Тел": "phone"})
    assert (changed.name, changed.columns) == ("Сервис", {"Тел": "phone"})
    assert await service.mappings(BOSS) == [changed]
    await service.remove(BOSS, made.id)
    with pytest.raises(NotFound):
        await service.get(BOSS, made.id)
    async with database.tenant(1) as conn:
        actions = list(await conn.scalars(select(t.audit.c.action).order_by(t.audit.c.id)))
    assert actions == ["mapping.create", "mapping.change", "mapping.change", "mapping.remove"]


async def test_a_name_is_given_once(service: MappingService) -> None:
    """Also when two take it at the same moment."""
    await service.add(BOSS, "Автосалон", AUTUMN)
    other = await service.add(BOSS, "Сервис", AUTUMN)
    with pytest.raises(Conflict):
        await service.add(BOSS, "Автосалон", AUTUMN)
    with pytest.raises(Conflict):
        await service.change(BOSS, other.id, name="Автосалон")
    third = await service.add(BOSS, "Третий", AUTUMN)
    ends = await asyncio.gather(
        *(service.change(BOSS, one.id, name="Новый") for one in (other, third)), return_exceptions=True
    )
    assert sorted(type(end).__name__ for end in ends) == ["Conflict", "SavedMapping"]


async def test_what_is_no_mapping_is_not_saved(service: MappingService) -> None:
    """An empty one, or a word that is no field."""
    for columns in ({}, {"Тел": "telephone"}):
        with pytest.raises(Invalid) as refused:
            await service.add(BOSS, "Автосалон", columns)
        assert refused.value.details["field"] == "columns"


async def test_the_last_used_one_that_fits_comes_first(service: MappingService, database: Database) -> None:
    """Used ones before others, of those the newest; what names a column too many does not fit."""
    first, second, third = [
        await service.add(BOSS, name, columns)
        for name, columns in (("1", {"Тел": "phone"}), ("2", AUTUMN), ("3", {"Тел": "phone", "Имя": "skip"}))
    ]

    async def order(*headers: str) -> list[int]:
        async with database.tenant(1) as conn:
            return [one.id for one in await fitting(conn, 1, headers)]

    assert await order("Тел", "Имя") == [third.id, first.id]
    async with database.tenant(1) as conn:
        await mappingstore.touch(conn, 1, first.id)
    assert await order("Тел", "Имя", "Авто", "№") == [first.id, third.id, second.id]
    assert await order("Имя") == []


async def test_rights(service: MappingService) -> None:
    """An operator neither sees nor makes them."""
    operator = Actor(1, None, Role.OPERATOR, "Operator", "ru")
    made = await service.add(BOSS, "Автосалон", AUTUMN)
    for refused in (
        service.add(operator, "x", AUTUMN),
        service.mappings(operator),
        service.get(operator, made.id),
        service.change(operator, made.id, name="x"),
        service.remove(operator, made.id),
    ):
        with pytest.raises(Forbidden):
            await refused


async def test_another_tenant_sees_none(service: MappingService, database: Database) -> None:
    """Names and ids are a tenant's own."""
    made = await service.add(BOSS, "Автосалон", AUTUMN)
    stranger = Actor(2, None, Role.SUPERVISOR, "Stranger", "ru")
    assert await service.mappings(stranger) == []
    with pytest.raises(NotFound):
        await service.get(stranger, made.id)
