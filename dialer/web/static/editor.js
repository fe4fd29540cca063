// The text of a flow: numbers beside its lines, and from a problem to its line.
"use strict";

(() => {
  const text = document.getElementById("f-yaml");
  const lines = document.getElementById("lines");
  let many = 0;

  function number() {
    const now = text.value.split("\n").length;
    if (now !== many) lines.textContent = Array.from({ length: now }, (_, n) => n + 1).join("\n");
    many = now;
    lines.scrollTop = text.scrollTop;
  }
  text.addEventListener("input", number);
  text.addEventListener("scroll", () => { lines.scrollTop = text.scrollTop; });
  number();

  document.addEventListener("click", (event) => {
    const link = event.target.closest("[data-line]");
    if (!link) return;
    event.preventDefault();
    const all = text.value.split("\n");
    const n = Math.min(Number(link.dataset.line), all.length) - 1;
    const begin = all.slice(0, n).reduce((sum, line) => sum + line.length + 1, 0);
    text.focus();
    text.setSelectionRange(begin, begin + all[n].length);
    text.scrollTop = (n - 5) * (text.scrollHeight / all.length);
  });

  // Enter in the field of keys presses them; it does not save the flow.
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.target.id !== "word") return;
    event.preventDefault();
    event.target.parentElement.querySelector("button").click();
  });
})();
