// Plays the recording of a talk: its wave to click and to go along by keys, its speed, its marks and silences.
// Who only looks at the page listens to nothing: the sound is asked for with the first play.
"use strict";

(() => {
  const player = document.querySelector(".player");
  if (!player) return;
  const [audio, canvas] = [player.querySelector("audio"), player.querySelector("canvas")];
  const [play, speed, lost] = ["[data-play]", "[data-speed]", "[data-lost]"].map((one) => player.querySelector(one));
  const notes = document.getElementById("recording-notes");
  const length = Number(player.dataset.length);
  const silences = JSON.parse(player.dataset.silences);
  const STEP_S = 5;
  let peaks = [];
  let place = 0; // where it is, also before the sound has come

  const two = (n) => String(n).padStart(2, "0");
  function clock(seconds) {
    const s = Math.floor(seconds);
    const [h, m] = [Math.floor(s / 3600), Math.floor((s % 3600) / 60)];
    return h ? `${h}:${two(m)}:${two(s % 60)}` : `${m}:${two(s % 60)}`;
  }
  const marks = () => [...notes.querySelectorAll("[data-at]")].map((one) => Number(one.dataset.at));

  // -- the wave ---------------------------------------------------------------------------------------

  function draw() {
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    if (!width) return;
    const dense = window.devicePixelRatio || 1;
    canvas.width = Math.round(width * dense);
    canvas.height = Math.round(height * dense);
    const style = getComputedStyle(canvas);
    const colour = (name) => style.getPropertyValue(name).trim();
    const pen = canvas.getContext("2d");
    pen.scale(dense, dense);
    const x = (seconds) => (seconds / length) * width;
    pen.fillStyle = colour("--warn-soft");
    for (const [begin, until] of silences) pen.fillRect(x(begin), 0, Math.max(2, x(until) - x(begin)), height);
    const middle = height / 2;
    for (let left = 0; left < width; left += 3) {
      const [first, last] = [left, left + 3].map((one) => Math.floor((one / width) * peaks.length));
      // Quiet voices are seen too: the root, as ears hear.
      const loud = Math.sqrt(Math.max(0, ...peaks.slice(first, Math.max(last, first + 1))) / 255);
      const half = Math.max(1, loud * (middle - 4));
      pen.fillStyle = left <= x(place) ? colour("--accent") : colour("--grey");
      pen.fillRect(left, middle - half, 2, 2 * half);
    }
    pen.fillStyle = colour("--bad");
    for (const at of marks()) {
      pen.fillRect(x(at) - 1, 0, 2, height);
      pen.beginPath();
      pen.arc(x(at), 5, 4, 0, 2 * Math.PI);
      pen.fill();
    }
    pen.fillStyle = colour("--text");
    pen.fillRect(Math.min(width - 2, x(place)), 0, 2, height);
  }
  new ResizeObserver(draw).observe(canvas);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  fetch(player.dataset.peaks).then((reply) => {
    if (!reply.ok) throw new Error(reply.statusText);
    return reply.json();
  }).then((found) => {
    peaks = found.peaks;
    player.dataset.drawn = "yes";
    draw();
  }).catch(() => { lost.hidden = false; });

  // -- where it is ------------------------------------------------------------------------------------

  function tell() {
    const said = clock(place);
    for (const one of document.querySelectorAll("#recording [data-now]")) one.textContent = said;
    for (const one of notes.querySelectorAll("[data-at-now]")) one.value = place.toFixed(1);
    canvas.setAttribute("aria-valuenow", place.toFixed(1));
    canvas.setAttribute("aria-valuetext", said);
    draw();
  }
  function go(seconds) {
    place = Math.min(length, Math.max(0, seconds));
    if (audio.readyState) audio.currentTime = place;
    tell();
  }
  function toggle() {
    if (!audio.paused) return audio.pause();
    if (place >= length - 0.05) go(0);
    return audio.play().catch(() => { lost.hidden = Boolean(audio.error) === false; });
  }
  audio.addEventListener("loadedmetadata", () => { audio.currentTime = place; audio.playbackRate = Number(speed.value); });
  audio.addEventListener("timeupdate", () => { if (!audio.seeking) { place = audio.currentTime; tell(); } });
  audio.addEventListener("error", () => { lost.hidden = false; });
  for (const kind of ["play", "pause", "ended"]) {
    audio.addEventListener(kind, () => {
      play.setAttribute("aria-pressed", String(!audio.paused));
      for (const one of play.querySelectorAll("[data-when]")) one.hidden = (one.dataset.when === "playing") === audio.paused;
    });
  }

  // -- what a person does -----------------------------------------------------------------------------

  play.addEventListener("click", toggle);
  function pace() {
    audio.playbackRate = audio.defaultPlaybackRate = Number(speed.value);
  }
  speed.addEventListener("change", pace);
  function faster(by) {
    speed.selectedIndex = Math.min(speed.length - 1, Math.max(0, speed.selectedIndex + by));
    pace();
  }
  canvas.addEventListener("pointerdown", (event) => {
    const at = (one) => go((one.offsetX / canvas.clientWidth) * length);
    at(event);
    canvas.setPointerCapture(event.pointerId);
    canvas.onpointermove = at;
    canvas.onpointerup = canvas.onpointercancel = () => { canvas.onpointermove = null; };
  });
  const KEYS = {
    " ": toggle,
    Enter: toggle,
    ArrowLeft: () => go(place - STEP_S),
    ArrowRight: () => go(place + STEP_S),
    PageDown: () => go(place - length / 10),
    PageUp: () => go(place + length / 10),
    Home: () => go(0),
    End: () => go(length),
    "<": () => faster(-1),
    ">": () => faster(1),
  };
  canvas.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || !KEYS[event.key]) return;
    event.preventDefault();
    KEYS[event.key]();
  });
  document.getElementById("recording").addEventListener("click", (event) => {
    const jump = event.target.closest("[data-jump]");
    if (jump) go(Number(jump.dataset.jump));
  });
  notes.addEventListener("htmx:afterSettle", tell);
  tell();
})();
