// What pages do in the browser: timers, live parts, keys. No framework beside htmx and idiomorph.
"use strict";

(() => {
  const body = document.body;
  const csrf = document.querySelector('meta[name="csrf"]').content;
  // The server's clock decides; the browser's may be wrong.
  const ahead = Number(body.dataset.now) - Date.now();

  // -- htmx -----------------------------------------------------------------------------------------

  body.addEventListener("htmx:configRequest", (event) => {
    event.detail.headers["X-CSRF-Token"] = csrf;
    event.detail.headers["Accept"] = "text/html";
  });
  // The fields that the answer now being put into the page was asked with.
  let asked = null;
  body.addEventListener("htmx:beforeSwap", (event) => {
    // The session is over: a part must not become the log-in page.
    if (new URL(event.detail.xhr.responseURL || location.href, location.href).pathname === "/login") {
      event.detail.shouldSwap = false;
      location.reload();
    }
    asked = event.detail.requestConfig.formData;
  });
  body.addEventListener("htmx:afterSwap", () => { asked = null; });

  body.addEventListener("htmx:afterRequest", (event) => {
    if (event.detail.successful && event.target.matches("form[data-resets]")) event.target.reset();
  });

  // A refusal is told until what was refused is sent again, or is on the page no more.
  const notices = document.getElementById("notices");
  const refused = new WeakMap();
  function forget(over) {
    for (const one of notices.querySelectorAll(".bad")) if (refused.has(one) && over(refused.get(one))) one.remove();
  }
  body.addEventListener("htmx:afterSwap", (event) => {
    if (event.detail.target !== notices) return;
    for (const one of notices.querySelectorAll(".bad")) if (!refused.has(one)) refused.set(one, event.detail.requestConfig.elt);
  });
  body.addEventListener("htmx:beforeRequest", (event) => forget((sender) => sender === event.detail.elt));
  body.addEventListener("htmx:afterSettle", () => forget((sender) => !sender.isConnected));

  // What a person has typed, chosen or opened stays when its part of the page is renewed.
  const TYPED = new Set(["INPUT", "TEXTAREA", "SELECT"]);
  const keep = (node) => node.closest && node.closest("[data-keep]");
  // Typed since the answer was asked for: the answer knows nothing of it.
  const newer = (field) => asked !== null && asked.has(field.name) && asked.get(field.name) !== field.value
    && field.type !== "checkbox" && field.type !== "radio";
  Object.assign(Idiomorph.defaults.callbacks, {
    beforeNodeMorphed(old, fresh) {
      if (old.nodeType === 1 && "stays" in old.dataset && old.id === fresh.id) return false;
      if (old.nodeType !== 1 || !TYPED.has(old.tagName) || old.type === "hidden") return true;
      if (newer(old) && old.name === fresh.name) return false;
      const [mine, theirs] = [keep(old), keep(fresh)];
      return !(mine && theirs && mine.dataset.keep === theirs.dataset.keep);
    },
    beforeAttributeUpdated(name, node) {
      return !(name === "open" && node.tagName === "DETAILS");
    },
  });

  // What is typed of a call outlives a page that is loaded again, and a phone that is lost, whose agent is shown
  // no call until it is back. It goes when it is saved, with the next call, and with the shift.
  const DRAFT = "draft ";
  const drafted = () => [...document.querySelectorAll("form[data-draft]")];
  const typed = (form) => [...form.elements].filter((one) => TYPED.has(one.tagName) && one.type !== "hidden");
  body.addEventListener("input", (event) => {
    const form = event.target.closest("form[data-draft]");
    if (!form) return;
    const values = Object.fromEntries(typed(form).map((one) => [one.name, one.value]));
    sessionStorage.setItem(DRAFT + form.dataset.keep, JSON.stringify(values));
  });
  // The calls whose forms were on the page before: what stands in them is newer.
  let stood = new Set();
  function restore() {
    const forms = drafted();
    for (const form of forms) {
      if (stood.has(form.dataset.keep)) continue;
      // A form that was another call's before keeps what was typed of that one.
      form.reset();
      const values = JSON.parse(sessionStorage.getItem(DRAFT + form.dataset.keep) || "{}");
      for (const one of typed(form)) if (one.name in values) one.value = values[one.name];
    }
    stood = new Set(forms.map((form) => form.dataset.keep));
    if (!stood.size && !document.querySelector('#desk [data-shift=""]')) return;
    Object.keys(sessionStorage).filter((key) => key.startsWith(DRAFT) && !stood.has(key.slice(DRAFT.length)))
      .forEach((key) => sessionStorage.removeItem(key));
  }
  body.addEventListener("htmx:afterRequest", (event) => {
    if (!event.detail.successful || !event.target.matches("form[data-draft]")) return;
    sessionStorage.removeItem(DRAFT + event.target.dataset.keep);
  });
  body.addEventListener("htmx:afterSettle", restore);
  restore();

  // -- timers ---------------------------------------------------------------------------------------

  const two = (n) => String(n).padStart(2, "0");
  function duration(seconds) {
    const s = Math.max(0, Math.floor(seconds));
    const [h, m] = [Math.floor(s / 3600), Math.floor((s % 3600) / 60)];
    return h ? `${h}:${two(m)}:${two(s % 60)}` : `${m}:${two(s % 60)}`;
  }
  function tick() {
    const now = Date.now() + ahead;
    for (const one of document.querySelectorAll("time[data-since]")) {
      const seconds = (now - Number(one.dataset.since)) / 1000;
      const text = duration(seconds);
      if (one.textContent !== text) one.textContent = text;
      one.classList.toggle("over", Boolean(one.dataset.limit) && seconds > Number(one.dataset.limit));
    }
  }
  setInterval(tick, 1000);
  tick();

  // -- live parts -----------------------------------------------------------------------------------
  // A part says by data-on which kinds of events renew it ("call." means all that begin so). Events that
  // come together renew it once; it is renewed at most every data-every ms, and always after the last one.

  const GATHER_MS = 25;
  class Part {
    constructor(element) {
      this.element = element;
      this.kinds = element.dataset.on.split(" ");
      this.campaign = element.dataset.campaign ? Number(element.dataset.campaign) : null;
      this.every = Number(element.dataset.every);
      this.last = -Infinity;
      this.timer = 0;
      this.busy = false;
      this.again = false;
      this.soon = false;
      element.addEventListener("htmx:afterRequest", (event) => {
        if (event.detail.elt !== element) return;
        this.busy = false;
        // No answer, or one that says "not now".
        if (event.detail.failed && [0, 503].includes(event.detail.xhr.status)) setTimeout(() => this.renew(), 2000);
        if (this.again) this.renew(this.soon);
      });
      element.addEventListener("htmx:afterSettle", () => { tick(); announce(); });
    }

    wants(kind, event) {
      const mine = this.campaign === null || event.campaign_id === null || event.campaign_id === this.campaign
        || kind.startsWith("agent.");
      return mine && this.kinds.some((one) => (one.endsWith(".") ? kind.startsWith(one) : kind === one));
    }

    // `soon`: somebody comes on the line. By no timer: those of a tab in the background ring once a second.
    renew(soon = false) {
      if (this.busy) { this.again = true; this.soon ||= soon; return; }
      if (soon) { this.ask(); return; }
      if (this.timer) return;
      const wait = Math.max(GATHER_MS, this.last + this.every - performance.now());
      this.timer = setTimeout(() => this.ask(), wait);
    }

    ask() {
      clearTimeout(this.timer);
      this.timer = 0;
      this.again = this.soon = false;
      this.busy = true;
      this.last = performance.now();
      htmx.trigger(this.element, "refresh");
    }
  }
  const parts = [...document.querySelectorAll("[data-on]")].map((element) => new Part(element));
  body.addEventListener("refresh-all", () => parts.forEach((part) => part.renew()));

  // -- the stream of events -------------------------------------------------------------------------

  const KINDS = [
    "agent.message", "agent.moved", "agent.phone_not_reached", "agent.state", "alert.cleared", "alert.raised",
    "call.assigned", "call.disposed", "call.reason", "call.state", "call.talk", "callback.reminder", "callback.state",
    "campaign.pace", "campaign.status", "cleaning.progress", "do_not_call.import", "flow.changed", "flow.step",
    "import.progress", "lead.offered", "queue.changed", "queue.place", "script.action", "script.step",
    "segment.leads", "trunk.changed", "trunk.state", "visit.changed", "voicemail.changed", "voicemail.left",
  ];
  const SILENT_MS = 40000; // the server says something every 15 s
  const strip = document.getElementById("link-lost");
  let last = body.dataset.since;
  let source = null;
  let heard = 0;
  let wasLost = false;

  function hear(message) {
    heard = performance.now();
    if (message.lastEventId) last = message.lastEventId;
  }
  function connect() {
    if (source) source.close();
    const mine = "mine" in body.dataset ? "&agent=me" : "";
    source = new EventSource(`/api/v1/events?after=${last}${mine}`);
    heard = performance.now();
    source.addEventListener("open", () => {
      strip.hidden = true;
      // Nobody loads a screen on a wall anew: after a restart it takes the pages of the new server.
      if (wasLost && "wall" in body.dataset) location.reload();
      if (wasLost) parts.forEach((part) => part.renew());
      wasLost = false;
    });
    source.addEventListener("error", () => {
      wasLost = true;
      strip.hidden = false;
      // The browser tries again by itself, except after a refusal.
      if (source.readyState === EventSource.CLOSED) setTimeout(connect, 3000);
    });
    source.addEventListener("alive", hear);
    source.addEventListener("reset", (message) => { hear(message); parts.forEach((part) => part.renew()); });
    for (const kind of KINDS) {
      source.addEventListener(kind, (message) => {
        hear(message);
        const event = JSON.parse(message.data);
        const soon = kind === "call.assigned" && "mine" in body.dataset;
        for (const part of parts) if (part.wants(kind, event)) part.renew(soon);
      });
    }
  }
  if (parts.length && last !== undefined) {
    connect();
    setInterval(() => { if (performance.now() - heard > SILENT_MS) connect(); }, 5000);
    addEventListener("pagehide", () => source.close());
    addEventListener("pageshow", (event) => { if (event.persisted) { connect(); parts.forEach((part) => part.renew()); } });
  }

  // -- the desk -------------------------------------------------------------------------------------

  let shown = "";
  function announce() {
    const card = document.querySelector(".card[data-card]");
    const now = card ? card.dataset.card : "";
    if (now === shown) return;
    shown = now;
    const said = document.getElementById("said");
    if (said) said.textContent = card ? card.dataset.who : "";
    if (body.dataset.title) document.title = card ? `● ${card.dataset.who}` : body.dataset.title;
  }
  announce();

  // Who leads a script by the keyboard stays in it: its next step is where the focus is.
  let leading = false;
  body.addEventListener("htmx:beforeRequest", (event) => {
    if (event.target.closest("#script") && event.target.matches("form")) leading = true;
  });
  let step = document.getElementById("script")?.dataset.step;
  body.addEventListener("htmx:afterSettle", () => {
    const script = document.getElementById("script");
    if (script?.dataset.step === step) return;
    step = script?.dataset.step;
    const [mine, focused] = [leading, document.activeElement];
    leading = false;
    if (mine && script && (focused === body || script.contains(focused))) script.querySelector("[data-first]")?.focus();
  });

  // The list of keys, which has none itself.
  const help = document.getElementById("shortcuts");
  const showHelp = () => (help.open ? help.close() : help.showModal());

  document.addEventListener("keydown", (event) => {
    if (help && event.key === "?" && !event.target.matches("input, textarea, select")) {
      event.preventDefault();
      showHelp();
    }
    if (help && help.open) return;
    // By the place of the key: it is the same in every layout.
    const pressed = /^(?:(?:Digit|Numpad)([1-9])|Key([A-Z]))$/.exec(event.code);
    if (!pressed || event.ctrlKey || event.metaKey || event.repeat) return;
    const typing = event.target.matches("input, textarea, select, [contenteditable]");
    if (typing && !event.altKey) return;
    const name = (event.shiftKey ? "shift+" : "") + (pressed[1] || pressed[2].toLowerCase());
    const wanted = document.querySelector(`[data-key="${name}"]`);
    if (!wanted || wanted.disabled) return;
    event.preventDefault();
    if (wanted.tagName === "BUTTON") wanted.click();
    else if (wanted.tagName === "SUMMARY") {
      wanted.parentElement.open = true;
      wanted.parentElement.querySelector("input:not([type=hidden])").focus();
    } else wanted.focus();
  });

  document.addEventListener("click", (event) => {
    const close = event.target.closest("[data-close]");
    if (close) close.parentElement.remove();
    if (help && event.target.closest("[data-help]")) showHelp();
    if (event.target.closest("[data-back]")) history.back();
  });

  // -- the database is away ---------------------------------------------------------------------------
  // A page in place of the one that was asked for. It asks until the database is back; then one that was
  // looked at is loaded, and one that was sent says that it can be sent again: never by itself.

  const away = body.dataset.away;
  async function back() {
    try {
      const health = await (await fetch("/healthz", { cache: "no-store" })).json();
      if (health.parts.database !== "ok") return false;
    } catch { return false; } // the server itself is away, for a moment
    if (away === "look") location.reload();
    document.querySelector("[data-while-away]")?.setAttribute("hidden", "");
    document.querySelector("[data-when-back]")?.removeAttribute("hidden");
    return true;
  }
  if (away) {
    const asking = setInterval(async () => { if (await back()) clearInterval(asking); }, 2000);
  }
})();
