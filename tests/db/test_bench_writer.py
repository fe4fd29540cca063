"""The witness of acknowledged writes tells of each run what is new in it."""

from __future__ import annotations

from dialer.bench.cluster.writer import Writer
from dialer.bench.site_parts import until
from dialer.db.session import connect


async def _written(writer: Writer, count: int) -> None:
    """Wait until so many more were acknowledged."""
    wanted = len(writer.acknowledged) + count

    async def enough() -> bool:
        return len(writer.acknowledged) >= wanted

    await until("writes are acknowledged", enough, 30)


async def test_what_is_acknowledged_and_what_is_lost_is_told_once(owner_url: str) -> None:
    """Runs add up to what was written; a loss is the run's that finds it, of however old a write."""
    async with Writer.open(owner_url) as writer:
        await _written(writer, 3)
        first, lost = await writer.news()
        assert (first >= 3, lost) == (True, 0)
        await _written(writer, 2)
        database = await connect(owner_url)
        try:
            await database.execute("DELETE FROM written WHERE number = 1")
        finally:
            await database.close()
        second, lost = await writer.news()
        assert lost == 1, "a write that an earlier run has seen is lost in this one"
        third, lost = await writer.news()
        assert lost == 0
    assert second >= 2
    assert first + second + third <= len(writer.acknowledged)
