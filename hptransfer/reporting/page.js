"use strict";
// Theme: the system's until the button is pressed.
const root = document.documentElement;
const button = document.getElementById("theme");
const dark = () =>
  (root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
const label = () => { button.textContent = dark() ? "Light page" : "Dark page"; };
button.hidden = false;
button.addEventListener("click", () => { root.dataset.theme = dark() ? "light" : "dark"; label(); });
label();

// Marks tell what they stand for: on hover, and with the arrow keys once their figure has the focus.
const tip = document.getElementById("tip");
let shown = null;

function show(mark, text) {
  hide();
  shown = mark;
  mark.classList.add("shown");
  tip.textContent = text;
  tip.hidden = false;
  const at = mark.getBoundingClientRect();
  const box = tip.getBoundingClientRect();
  const left = Math.min(Math.max(8, at.left + at.width / 2 - box.width / 2), innerWidth - box.width - 8);
  const above = at.top - box.height - 8;
  tip.style.left = `${Math.max(8, left)}px`;
  tip.style.top = `${above > 8 ? above : at.bottom + 8}px`;
}

function hide() {
  if (shown) shown.classList.remove("shown");
  shown = null;
  tip.hidden = true;
}

for (const svg of document.querySelectorAll(".drawing svg")) {
  const marks = [...svg.querySelectorAll(".marks use")];
  if (marks.length === 0) continue;
  const place = (mark) => `${mark.getAttribute("x")} ${mark.getAttribute("y")}`;
  const texts = new Map(); // repeated runs lie on top of each other: a place tells all of them
  for (const mark of marks) {
    const title = mark.querySelector("title");
    texts.set(place(mark), [...(texts.get(place(mark)) || []), title.textContent]);
    title.remove(); // else the browser shows it a second time
    mark.addEventListener("pointerenter", () => show(mark, texts.get(place(mark)).join("\n")));
    mark.addEventListener("pointerleave", hide);
  }
  const topmost = new Map(marks.map((mark) => [place(mark), mark]));
  const ordered = [...topmost.values()].sort((a, b) => a.x.baseVal.value - b.x.baseVal.value);
  svg.setAttribute("tabindex", "0");
  let at = -1; // where the keys are; scrolling hides the text but keeps the place
  svg.addEventListener("blur", () => { at = -1; hide(); });
  svg.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (event.key === "Escape") hide();
    if (step === undefined) return;
    event.preventDefault();
    at = at < 0 && step < 0 ? ordered.length - 1 : (at + step + ordered.length) % ordered.length;
    show(ordered[at], texts.get(place(ordered[at])).join("\n"));
  });
}
addEventListener("scroll", hide, { passive: true });
// What is folded away on a screen is printed, and folded again afterwards.
let opened = [];
addEventListener("beforeprint", () => {
  opened = [...document.querySelectorAll("details:not([open])")];
  for (const one of opened) one.open = true;
});
addEventListener("afterprint", () => { for (const one of opened) one.open = false; });
