"""Every page of the site: how it is opened in a showcase, by whom, and what is pressed there.

Pictures are taken of all of them (`support.screenshots`), and tests hold that all are sound and that a page
which is not in the list is missed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:  # what only names the pages needs no browser
    from playwright.async_api import Page

    from support.browser import Visitor

LOCALES = ("en", "ru")
#: Width and height of what is looked at: a desk, a large screen, a phone.
SIZES: Mapping[str, tuple[int, int]] = {"1366": (1366, 768), "1920": (1920, 1080), "phone": (390, 844)}
#: Where the pictures are, from the root of the repository.
PICTURES = "docs/images/pages"

#: What is done at a page before it is looked at.
Press: TypeAlias = "Callable[[Page], Awaitable[None]]"


@dataclass(frozen=True, slots=True)
class SitePage:
    """One page, or a state of one."""

    #: of its pictures
    name: str
    #: what it is, in the documentation
    title: str
    #: as the router has it; empty: it has none
    route: str
    #: how it is opened, with names of the showcase in braces; empty: by the route
    path: str = ""
    #: of `Showcase.people`; None: a stranger
    who: str | None = "boss"
    press: Press | None = None
    #: the refusal that it shows
    status: int = 200

    async def open(self, person: Visitor, names: Mapping[str, object]) -> None:
        """Go there as `person` and press what is to be pressed."""
        if self.status != 200:
            person.expected.add(self.status)
        await person.open((self.path or self.route).format(**names))
        await person.page.wait_for_load_state()
        if self.press is not None:
            await self.press(person.page)


async def _wrong_password(page: Page) -> None:
    await page.fill("input[name=login]", "orlova")
    await page.fill("input[name=password]", "not-this-one")
    await page.click("main button.main")
    await page.wait_for_selector("[role=alert] >> visible=true")


async def _tick_agents(page: Page) -> None:
    boxes = page.locator("#floor input[type=checkbox]")
    for n in range(2):
        await boxes.nth(n).check()


async def _what_if(page: Page) -> None:
    await page.fill("#f-agents_more", "2")
    await page.click("form.form button.main")
    # A table, or on a busy machine that there was no time for one.
    await page.wait_for_selector("#answer > *", timeout=60_000)


async def _keys(page: Page) -> None:
    await page.keyboard.press("?")
    await page.wait_for_selector("#shortcuts[open]")


async def _unfold(page: Page) -> None:
    await page.evaluate(
        "document.querySelectorAll('main details:not(.figure)').forEach(one => one.open = true)"
    )


async def _save_nothing(page: Page) -> None:
    await page.eval_on_selector_all("main form [required]", "all => all.forEach(one => one.required = false)")
    await page.click("main form.form button.main")
    await page.wait_for_selector("main .strip.bad")


async def _next_step(page: Page) -> None:
    if await page.get_attribute("#script", "data-step") == "hello":
        await page.click("#script [data-first]")
    await page.wait_for_selector("#script[data-step=convenient]")


_P = SitePage
PAGES: Mapping[str, Sequence[SitePage]] = {
    "At the door": (
        _P("login", "Log in", "/login", who=None),
        _P("login-refused", "A wrong password", "/login", who=None, press=_wrong_password, status=401),
        _P("me", "One's own name, language, password and keys", "/me"),
        _P("tokens", "API tokens", "/tokens"),
        _P("not-found", "A page that is not there", "", "/nothing-here", status=404),
    ),
    "The agent's desk": (
        _P("desk", "Waiting for a customer", "/desk", who="waiting"),
        _P("desk-keys", "The list of keys", "/desk", who="waiting", press=_keys),
        _P("desk-offline", "Before the shift", "/desk", who="offline"),
        _P("desk-no-phone", "A person who is no agent yet", "/desk", who="newcomer"),
        _P("desk-card", "The card, before the voice", "/desk", who="card"),
        _P("desk-talk", "A talk with its script, and a message", "/desk", who="talk", press=_next_step),
        _P("desk-hold", "The customer on hold", "/desk", who="hold"),
        _P("desk-consultation", "A colleague is asked while the customer waits", "/desk", who="consultation"),
        _P("desk-conference", "All three together", "/desk", who="conference"),
        _P("desk-asked", "Of the colleague who is asked", "/desk", who="asked"),
        _P("desk-incoming", "A caller, with the way by which they came", "/desk", who="incoming"),
        _P("desk-preview", "A lead to be called or skipped", "/desk", who="preview"),
        _P("desk-wrap-up", "What the talk came to", "/desk", who="wrap_up"),
        _P("desk-paused", "On pause", "/desk", who="paused"),
        _P("desk-lost", "The phone is gone", "/desk", who="lost"),
    ),
    "The board and campaigns": (
        _P("board", "The whole centre, live", "/board"),
        _P("board-ticked", "Agents ticked, for what is done with many", "/board", press=_tick_agents),
        _P("wall", "For a screen on the wall", "/board/wall"),
        _P("alerts", "What calls for attention, by which thresholds", "/board/alerts"),
        _P("campaigns", "All campaigns", "/campaigns"),
        _P("campaign", "A campaign, live", "/campaigns/{campaign_id}"),
        _P("campaign-new", "A new campaign", "/campaigns/new"),
        _P("campaign-refused", "What is wrong with it", "/campaigns/new", press=_save_nothing, status=422),
        _P("campaign-edit", "Its settings", "/campaigns/{campaign_id}/edit"),
        _P("campaign-queue", "Its next leads", "/campaigns/{campaign_id}/queue"),
        _P("campaign-pace", "Why its pace was what it was", "/campaigns/{campaign_id}/pace"),
        _P("campaign-what-if", "What if: to be asked", "/campaigns/{campaign_id}/what-if"),
        _P("campaign-what-if-told", "What if: told", "/campaigns/{campaign_id}/what-if", press=_what_if),
        _P("campaign-why-not", "Why it does not dial", "/campaigns/{campaign_id}/why-not"),
        _P("lead-why-not", "Why a lead is not dialled", "/campaigns/{campaign_id}/leads/{lead_id}/why-not"),
        _P("agents", "Agents", "/agents"),
        _P("agents-unfolded", "Agents: all forms", "/agents", press=_unfold),
        _P("callbacks", "Promised calls", "/callbacks"),
        _P("callbacks-day", "Promised calls of a day", "/callbacks", "/callbacks?view=day"),
        _P("callback", "One promised call", "/callbacks/{callback_id}"),
        _P("callback-new", "A call is promised by hand", "/contacts/{contact_id}/callback"),
    ),
    "Calls, recordings, quality": (
        _P("calls", "All calls", "/calls"),
        _P("call", "One call, with its recording and scores", "/calls/{attempt_id}"),
        _P("call-incoming", "One that came in", "/calls/{attempt_id}", "/calls/{incoming}"),
        _P("recordings", "Recordings", "/recordings"),
        _P("reviews", "Quality of talks", "/reviews"),
        _P("reviews-own", "The same, as an agent sees it", "/reviews", who="talk"),
        _P("surveys", "What customers say after a talk", "/surveys"),
        _P("review-forms", "Forms of scores, and plans", "/reviews/forms"),
        _P("review-form-new", "A new form", "/reviews/forms/new"),
        _P("review-form", "A form", "/reviews/forms/{form_id}"),
        _P("calibration", "A calibration that is closed", "/reviews/calibrations/{calibration_id}"),
        _P(
            "calibration-open", "One that is open", "/reviews/calibrations/{calibration_id}",
            "/reviews/calibrations/{open_calibration}",
        ),
    ),
    "Calls that come in": (
        _P("incoming", "Calls that came in", "/incoming"),
        _P("queues", "Queues", "/queues"),
        _P("queue-new", "A new queue", "/queues/new"),
        _P("queue", "A queue, its agents, and who kept a place", "/queues/{queue_id}"),
        _P("queue-figures", "Figures of queues", "/queues/figures"),
        _P("flows", "Flows", "/flows"),
        _P("flow-new", "A new flow", "/flows/new"),
        _P("flow", "A flow with its callers", "/flows/{flow_id}"),
        _P("flow-edit", "A flow is changed and tried", "/flows/{flow_id}/edit"),
        _P("flow-version", "A version of it", "/flows/{flow_id}/versions/{version}"),
        _P("numbers", "Numbers, and who is called back", "/numbers"),
        _P("number-new", "A number is led to a flow", "/numbers/new"),
        _P("number", "One number", "/numbers/{number_id}"),
        _P("hours", "Hours by name", "/hours"),
        _P("hours-new", "New hours", "/hours/new"),
        _P("hours-one", "Hours are changed", "/hours/{key}", "/hours/{hours}"),
        _P("offers", "Offers to callers", "/offers"),
        _P("offer-new", "A new offer", "/offers/new"),
        _P("offer", "An offer is changed", "/offers/{key}", "/offers/{offers}"),
        _P("voicemail", "Voicemail", "/voicemail"),
    ),
    "Customers": (
        _P("contacts", "Customers", "/contacts"),
        _P("contact", "One customer", "/contacts/{contact_id}"),
        _P("contact-unfolded", "One customer: all forms", "/contacts/{contact_id}", press=_unfold),
        _P("contact-why-not", "Why a customer is not dialled", "/contacts/{contact_id}/why-not"),
        _P("why-not", "Why a number is not dialled", "/why-not", "/why-not?number={number}"),
        _P("lists", "Lists", "/lists"),
        _P("list", "A list, its files and its funnel", "/lists/{list_id}"),
        _P("import", "A file that is looked at before it is loaded", "/imports/{import_id}"),
        _P("import-done", "A file that is loaded", "/imports/{import_id}", "/imports/{done_import}"),
        _P("mappings", "Saved columns of files", "/lists/mappings"),
        _P("base-quality", "Quality of the base", "/lists/quality"),
        _P("duplicates", "Possible duplicates", "/lists/duplicates"),
        _P("duplicate", "Two cards side by side", "/lists/duplicates/{pair_id}"),
        _P("dead-numbers", "Numbers that lead to nobody", "/lists/dead-numbers"),
        _P("segments", "Segments", "/segments"),
        _P("segment-new", "A new segment", "/segments/new"),
        _P("segment", "A segment with its count", "/segments/{segment_id}"),
        _P("fields", "Fields of customers", "/fields"),
        _P("field", "A field is changed", "/fields/{field_id}"),
        _P("grids", "Grids by money and days", "/grids"),
        _P("grid", "A grid", "/grids/{grid_id}"),
        _P("visits", "Visits", "/visits"),
        _P("do-not-call", "Who is not to be called", "/do-not-call"),
        _P("do-not-call-unfolded", "The same: all forms", "/do-not-call", press=_unfold),
    ),
    "Set up": (
        _P("trunks", "Trunks", "/trunks"),
        _P("trunks-unfolded", "Trunks: money and tariffs", "/trunks", press=_unfold),
        _P("destinations", "Whom flows and agents may ring", "/destinations"),
        _P("destination-new", "A new destination", "/destinations/new"),
        _P("destination", "A destination is changed", "/destinations/{key}", "/destinations/{destinations}"),
        _P("hosts", "Servers that flows may ask", "/hosts"),
        _P("host-new", "A new server", "/hosts/new"),
        _P("host", "A server is changed", "/hosts/{key}", "/hosts/{hosts}"),
        _P("policies", "Policies: when and how people may be called", "/policies"),
        _P("policy", "A policy with its sources", "/policies/{code}", "/policies/ru-38fz"),
        _P("policy-new", "A policy of one's own", "/policies/new", "/policies/new?from=ru-38fz"),
        _P("policy-edit", "Its next version", "/policies/{code}/edit", "/policies/our-service/edit"),
        _P("scripts", "Scripts of talks", "/scripts"),
        _P("script-new", "A new script", "/scripts/new"),
        _P("script", "A script and what it brings", "/scripts/{script_id}"),
        _P("script-edit", "A script is changed and rehearsed", "/scripts/{script_id}/edit"),
        _P("script-version", "A version of it", "/scripts/{script_id}/versions/{version}"),
        _P("knowledge", "Knowledge base", "/knowledge"),
        _P("knowledge-new", "A new article", "/knowledge/new"),
        _P("knowledge-one", "An article is changed", "/knowledge/{article_id}"),
        _P("prompts", "What callers hear", "/prompts"),
        _P("prompts-unfolded", "Prompts: all forms", "/prompts", press=_unfold),
        _P("users", "Users", "/users"),
    ),
}  # fmt: skip

#: What pages ask for to renew a part of themselves: no page of its own.
PARTS = frozenset(
    {
        "/status", "/agents/table", "/board/alerts/now", "/board/floor", "/board/wall/part", "/board/work",
        "/callbacks/outlook", "/campaigns/rules-check", "/campaigns/{campaign_id}/board",
        "/campaigns/{campaign_id}/figures", "/campaigns/{campaign_id}/outcomes",
        "/campaigns/{campaign_id}/segments", "/campaigns/{campaign_id}/why-not/board",
        "/contacts/{contact_id}/callbacks", "/desk/messages", "/desk/own", "/desk/panel",
        "/do-not-call/imports", "/flows/table", "/flows/{flow_id}/traffic", "/imports/{import_id}/state",
        "/incoming/rows", "/knowledge/found", "/lists/cleaning", "/lists/{list_id}/funnel",
        "/lists/{list_id}/imports", "/queues/table", "/queues/{queue_id}/agents",
        "/queues/{queue_id}/places", "/segments/{segment_id}/count", "/visits/table",
    }
)  # fmt: skip
#: What no person looks at, and why.
NO_PAGES: Mapping[str, str] = {
    "/": "leads to where one's work is",
    "/favicon.ico": "leads to the picture",
    "/static/{name}": "files",
    "/phone": "the WebSocket of the browser's phone",
    "/metrics": "for Prometheus",
    "/healthz": "for what watches the server",
    "/openapi.json": "the description of the API",
}


def all_pages() -> Iterator[SitePage]:
    """In their order."""
    for pages in PAGES.values():
        yield from pages


def picture(name: str, locale: str, size: str) -> str:
    """The file of a picture."""
    return f"{name}.{locale}.{size}.webp"


def gallery() -> str:
    """Every page with its picture, and links to it in the other language and sizes, as far as taken."""
    folder = Path(__file__).parents[2] / PICTURES
    lines = []
    for group, pages in PAGES.items():
        lines += [f"## {group}", "", "| | |", "| --- | --- |"]
        for page in pages:
            links = [
                f"[{locale} {size}](images/pages/{file})"
                for locale in LOCALES
                for size in SIZES
                if Path(folder, file := picture(page.name, locale, size)).exists()
            ]
            route = f"<br>`{page.route}`" if page.route else ""
            shown = f"![{page.title}](images/pages/{picture(page.name, 'en', '1366')})"
            lines.append(f"| {shown} | **{page.title}**{route}<br>{' · '.join(links)} |")
        lines.append("")
    return "\n".join(lines).rstrip()
