// The browser as a phone. It registers at Asterisk by the WebSocket /phone of this server and picks up by itself.
// On an agent's desk it is called once at log-in and stays connected; customers are joined to it. The server says
// (data-phone) whether the present shift is at the browser: a page that is loaded again in the middle of a call takes
// the phone up again. A supervisor's (#listen-phone) is called for each listening, and is put away after it.
"use strict";

(() => {
  const section = document.getElementById("phone");
  if (!section) return;
  const csrf = document.querySelector('meta[name="csrf"]').content;
  const part = (name) => document.getElementById(`phone-${name}`);
  const [said, level, link, voice, echo, heard] = ["state", "level", "link", "voice", "echo", "heard"].map(part);
  const [microphones, speakers] = [part("microphone"), part("speaker")];
  const kept = { microphone: "dozvon-microphone", speaker: "dozvon-speaker" };

  const REGISTER_MS = 10000;
  const AGAIN_MS = 1500;
  const ICE_MS = 500; // a STUN server that does not answer must not keep a call
  // Why the server has closed the connection; see dialer/web/phone.py.
  const [LOGGED_OUT, ELSEWHERE] = [4001, 4002];

  let ua = null;
  let session = null;
  let stream = null;
  let starting = null;
  let atWork = false; // the shift that the page shows is at the browser
  let iceServers = [];
  const listens = document.getElementById("listen-phone"); // a supervisor's page

  // -- what is shown ----------------------------------------------------------------------------------

  function show(state) {
    section.dataset.state = state;
    said.textContent = part("words").content.querySelector(`[data-word="${state}"]`)?.textContent ?? state;
    part("here").hidden = state !== "elsewhere";
    part("end").hidden = !(listens && state === "up"); // an agent's stays connected between calls
    echo.disabled = Boolean(session) || state === "insecure";
    if (state !== "up") link.hidden = true;
    takeInTime();
  }
  const word = (name) => part("words").content.querySelector(`[data-word="${name}"]`).textContent;

  class Meter {
    constructor(source) {
      this.context = new AudioContext();
      this.analyser = this.context.createAnalyser();
      this.analyser.fftSize = 1024;
      this.samples = new Float32Array(this.analyser.fftSize);
      this.context.createMediaStreamSource(source).connect(this.analyser);
    }
    // Loudness from 0 (silence, -60 dB) to 1.
    read() {
      this.analyser.getFloatTimeDomainData(this.samples);
      const power = this.samples.reduce((sum, one) => sum + one * one, 0) / this.samples.length;
      return Math.min(1, Math.max(0, (10 * Math.log10(power + 1e-9) + 60) / 60));
    }
    close() { this.context.close(); }
  }
  let own = null;
  let theirs = null;
  let loudest = 0;
  setInterval(() => {
    if (own) level.value = own.read();
    if (theirs) loudest = Math.max(loudest, theirs.read());
  }, 100);

  // -- the microphone ---------------------------------------------------------------------------------

  const live = () => stream && stream.getAudioTracks().some((track) => track.readyState === "live");
  async function takeMicrophone() {
    const id = localStorage.getItem(kept.microphone);
    const audio = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };
    if (id) audio.deviceId = { ideal: id };
    const fresh = await navigator.mediaDevices.getUserMedia({ audio });
    if (stream) stream.getTracks().forEach((track) => track.stop());
    stream = fresh;
    if (own) own.close();
    own = new Meter(stream);
    const [track] = stream.getAudioTracks();
    // It was pulled out: whatever there is else is taken.
    track.addEventListener("ended", () => changeMicrophone().catch(() => show("deaf")));
    const sender = session?.connection?.getSenders().find((one) => one.track?.kind === "audio" || !one.track);
    if (sender) await sender.replaceTrack(track);
    await listDevices();
  }
  async function changeMicrophone() {
    await takeMicrophone();
    show(session ? "up" : ua?.isRegistered() ? "ready" : "connecting");
  }
  async function listDevices() {
    const devices = await navigator.mediaDevices.enumerateDevices();
    for (const [select, kind, key] of [[microphones, "audioinput", kept.microphone], [speakers, "audiooutput", kept.speaker]]) {
      const chosen = localStorage.getItem(key) ?? "";
      const options = devices.filter((one) => one.kind === kind).map((one, n) => new Option(
        one.label || `${n + 1}`, one.deviceId, false, one.deviceId === chosen));
      select.replaceChildren(...options);
      select.closest("label").hidden = !options.length || (kind === "audiooutput" && !voice.setSinkId);
    }
  }
  microphones.addEventListener("change", () => {
    localStorage.setItem(kept.microphone, microphones.value);
    changeMicrophone().catch(() => show("deaf"));
  });
  speakers.addEventListener("change", () => {
    localStorage.setItem(kept.speaker, speakers.value);
    voice.setSinkId(speakers.value);
  });
  navigator.mediaDevices?.addEventListener("devicechange", () => { if (stream) listDevices(); });

  // -- two windows ------------------------------------------------------------------------------------
  // The newest has the phone, and the other one leaves it alone. One that was closed, or cannot keep it, has lost it:
  // after a while the other takes it. But once: two that cannot keep it must not take it from each other for ever.

  const TAKE_MS = 6000; // a page that is loaded again is back by then
  let mayTake = true;
  let taking = 0;
  function takeInTime() {
    const state = section.dataset.state;
    if (state === "up") mayTake = true;
    const lost = atWork && document.querySelector("[data-shift]")?.dataset.shift === "lost";
    const wanted = state === "elsewhere" && lost && mayTake;
    if (wanted) taking ||= setTimeout(() => { taking = 0; mayTake = false; renew(); }, TAKE_MS);
    else { clearTimeout(taking); taking = 0; }
    // What the desk says of a lost phone is true of a page that will have it again.
    const promise = document.getElementById("phone-again");
    if (promise) promise.hidden = ["deaf", "insecure"].includes(state) || (state === "elsewhere" && !wanted);
  }

  // -- registering ------------------------------------------------------------------------------------

  async function secret() {
    const reply = await fetch("/api/v1/agents/me/phone", { method: "POST", headers: { "X-CSRF-Token": csrf } });
    if (!reply.ok) throw new Error(`HTTP ${reply.status}`);
    return reply.json();
  }

  async function register() {
    const opened = await secret();
    iceServers = opened.ice_servers;
    stop();
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const mine = ua = new JsSIP.UA({
      sockets: [new JsSIP.WebSocketInterface(`${scheme}://${location.host}/phone`)],
      uri: `sip:${opened.endpoint}@${opened.realm}`,
      // Asterisk calls this address, and a BYE of ours is from it: the server passes on what is from the phone.
      contact_uri: `sip:${opened.endpoint}@phone.invalid;transport=ws`,
      authorization_user: opened.endpoint,
      password: opened.password,
      register_expires: 60,
      session_timers: false,
      connection_recovery_min_interval: 1,
      connection_recovery_max_interval: 2,
      user_agent: "Dozvon browser",
    });
    mine.on("newRTCSession", (event) => { if (event.originator === "remote") pickUp(event.session); });
    mine.on("registered", () => { if (ua === mine && !session) show("ready"); });
    mine.on("disconnected", ({ code }) => {
      if (ua !== mine) return;
      if (code === LOGGED_OUT) { stop(); location.reload(); return; }
      if (code === ELSEWHERE) { stop(); show("elsewhere"); return; }
      show("lost");
    });
    await new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new Error("late")), REGISTER_MS);
      mine.once("registered", () => { clearTimeout(late); resolve(); });
      mine.on("registrationFailed", ({ response }) => {
        clearTimeout(late);
        reject(new Error("refused"));
        // The secret is over: the page was asleep for long, or Asterisk has forgotten it.
        if (response && ua === mine && atWork) setTimeout(() => { if (ua === mine) renew(); }, AGAIN_MS);
      });
      mine.start();
    });
  }

  // Take the phone up: microphone, secret, registration. Done when Asterisk can call it.
  function start() {
    if (ua?.isRegistered() && live()) return Promise.resolve();
    starting ??= (async () => {
      if (!window.isSecureContext || !navigator.mediaDevices) { show("insecure"); throw new Error("insecure"); }
      show("connecting");
      if (!live()) {
        try { await takeMicrophone(); } catch (error) { show("deaf"); throw error; }
      }
      try { await register(); } catch (error) { show("lost"); throw error; }
    })().finally(() => { starting = null; });
    return starting;
  }
  // The same again and again, while the shift wants it.
  function renew() {
    stop();
    start().catch(() => {
      if (atWork && ["lost", "connecting"].includes(section.dataset.state)) setTimeout(renew, AGAIN_MS);
    });
  }
  function stop() {
    const old = ua;
    ua = null;
    if (old) {
      const connected = old.isConnected();
      old.stop();
      // With no connection JsSIP would wait for one, to take its registration back: and have the phone again.
      if (!connected) old.transport.disconnect();
    }
    hungUp(session);
  }
  function putAway() {
    stop();
    if (stream) stream.getTracks().forEach((track) => track.stop());
    if (own) own.close();
    stream = own = null;
    level.value = 0;
    show("off");
  }

  // -- the call ---------------------------------------------------------------------------------------

  function pickUp(fresh) {
    // Asterisk calls only a phone that it has lost, or that checks its sound.
    if (session) { const old = session; hungUp(old); try { old.terminate(); } catch { /* it is over */ } }
    follow(fresh);
    fresh.answer({ mediaStream: stream, pcConfig: { iceServers } });
  }

  function follow(fresh) {
    session = fresh;
    fresh.on("peerconnection", ({ peerconnection }) => connected(fresh, peerconnection));
    if (fresh.connection) connected(fresh, fresh.connection);
    let gathering = 0;
    fresh.on("icecandidate", ({ ready }) => { gathering ||= setTimeout(ready, ICE_MS); });
    fresh.on("confirmed", () => { if (session === fresh) show("up"); });
    fresh.on("ended", () => hungUp(fresh));
    fresh.on("failed", () => hungUp(fresh));
  }

  function connected(fresh, connection) {
    connection.addEventListener("track", ({ track, streams }) => {
      const sound = streams[0] ?? new MediaStream([track]);
      voice.srcObject = sound;
      const speaker = localStorage.getItem(kept.speaker);
      if (speaker && voice.setSinkId) voice.setSinkId(speaker).catch(() => {}); // it is not there today
      voice.play().catch(() => {}); // by the first click, then
      if (theirs) theirs.close();
      theirs = new Meter(sound);
    });
    watch(fresh, connection);
  }

  function hungUp(which) {
    if (!which || session !== which) return;
    session = null;
    if (theirs) theirs.close();
    theirs = null;
    voice.srcObject = null;
    if (ua && listens && !atWork) putAway();
    else if (ua) show(ua.isRegistered() ? "ready" : "lost");
  }

  // -- how good the connection is ---------------------------------------------------------------------
  // Of the last two seconds: what part of the voice was lost either way, how unevenly it comes, how long it takes.

  const LOOK_MS = 2000;
  function judge(now, before) {
    const came = now.received - before.received;
    const missed = Math.max(0, now.lost - before.lost);
    const loss = Math.max(came + missed ? missed / (came + missed) : 1, now.lostThere);
    if (!came || loss > 0.1 || now.jitter > 0.1 || now.delay > 0.8) return "bad";
    return loss > 0.03 || now.jitter > 0.03 || now.delay > 0.3 ? "poor" : "good";
  }
  async function measure(connection) {
    const found = { received: 0, lost: 0, jitter: 0, lostThere: 0, delay: 0, sent: 0 };
    for (const one of (await connection.getStats()).values()) {
      if (one.type === "inbound-rtp" && one.kind === "audio") {
        Object.assign(found, { received: one.packetsReceived, lost: one.packetsLost, jitter: one.jitter });
      } else if (one.type === "outbound-rtp" && one.kind === "audio") {
        found.sent = one.packetsSent;
      } else if (one.type === "remote-inbound-rtp" && one.kind === "audio") {
        found.lostThere = one.fractionLost ?? 0;
        found.delay = one.roundTripTime ?? 0;
      }
    }
    return found;
  }
  function watch(fresh, connection) {
    let before = null;
    const timer = setInterval(async () => {
      if (session !== fresh || connection.connectionState === "closed") { clearInterval(timer); return; }
      const now = await measure(connection);
      if (before && session === fresh && section.dataset.state === "up") {
        const quality = judge(now, before);
        link.hidden = false;
        link.dataset.quality = quality;
        link.textContent = word(quality);
      }
      before = now;
    }, LOOK_MS);
  }

  // -- the check of the sound -------------------------------------------------------------------------

  const ECHO_MS = 8000;
  async function checkSound() {
    heard.textContent = "";
    await start();
    if (session) return;
    loudest = 0;
    const call = ua.call(`sip:echo@${ua.configuration.uri.host}`, {
      mediaStream: stream, pcConfig: { iceServers }, mediaConstraints: { audio: true, video: false },
    });
    follow(call);
    heard.textContent = word("speak");
    call.on("confirmed", () => setTimeout(() => { if (session === call) call.terminate(); }, ECHO_MS));
    const done = () => {
      heard.textContent = word(loudest > 0.25 ? "heard" : "unheard");
      if (!atWork && !waiting) putAway();
    };
    call.on("ended", done);
    call.on("failed", done);
  }
  echo.addEventListener("click", () => checkSound().catch(() => {})); // what is wrong is shown
  part("here").addEventListener("click", () => renew());
  part("end").addEventListener("click", () => session?.terminate());

  // -- the shift --------------------------------------------------------------------------------------

  // A log-in with the browser, or a listening in it.
  const asks = (form) => form.matches("form") && (form.querySelector('input[name="phone"][value="browser"]')
    || (listens?.value === "browser" && "listens" in form.dataset));
  let waiting = false; // for what the person has asked for
  document.body.addEventListener("htmx:confirm", (event) => {
    // Of each request of the page, and the panel that holds the form is renewed by one: only the form's own.
    const form = event.detail.elt;
    if (!asks(form)) return;
    event.preventDefault();
    waiting = true;
    start().then(() => event.detail.issueRequest(true), () => { waiting = false; });
  });
  document.body.addEventListener("htmx:afterRequest", (event) => {
    if (!listens || !asks(event.detail.elt)) return;
    waiting = false;
    if (event.detail.failed && !session) putAway();
  });
  function look() {
    const phone = document.querySelector("[data-phone]")?.dataset.phone ?? "";
    section.hidden = listens ? listens.value !== "browser" : phone === "sip";
    const was = atWork;
    atWork = phone === "browser";
    if (atWork) {
      waiting = false;
      if (!was && !ua?.isRegistered()) renew();
    } else if (was || (phone === "sip" && ua)) {
      putAway();
    }
    takeInTime();
  }
  listens?.addEventListener("change", look);
  document.body.addEventListener("htmx:afterSettle", look);
  addEventListener("online", () => { if (atWork && !ua?.isRegistered()) renew(); });
  addEventListener("pagehide", () => stop());
  addEventListener("pageshow", (event) => { if (event.persisted && atWork) renew(); });
  show("off");
  look();
})();
