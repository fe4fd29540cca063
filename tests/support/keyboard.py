"""A person who has no mouse."""

from __future__ import annotations

from playwright.async_api import BrowserContext, Locator, Page

#: Tells of each event that a mouse or a finger makes; a button that is pressed by a key makes none of them.
_POINTED = """
for (const kind of ["pointerdown", "pointermove", "mousedown", "mousemove", "wheel", "touchstart"])
  addEventListener(kind, (event) => pointed(event.type), true);
"""


async def pointers(context: BrowserContext) -> list[str]:
    """What a mouse or a finger has done so far on the pages that are opened from now on."""
    seen: list[str] = []
    await context.expose_function("pointed", lambda kind: seen.append(kind))  # noqa: PLW0108 - no builtin
    await context.add_init_script(_POINTED)
    return seen


async def tab_to(page: Page, target: Locator) -> None:
    """Go on by Tab to where that is."""
    await target.wait_for()
    for _ in range(200):
        if await target.evaluate("one => one === document.activeElement"):
            return
        await page.keyboard.press("Tab")
    raise AssertionError(f"Tab does not reach {target}")
