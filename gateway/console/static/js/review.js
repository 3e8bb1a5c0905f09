// The review queue by keyboard, and its counts kept up to date. Every key presses something that is on the page
// anyway, so that nothing here can do what a reader without scripts or without a keyboard could not.
// Single keys can be switched off (WCAG 2.1.4); the choice stays in this browser.

const SWITCH = "haechi-review-keys";
const COUNTS_EVERY_MS = 10_000;

const keyList = document.getElementById("review-keys");
const bulk = document.getElementById("review-bulk");

for (const hidden of document.querySelectorAll("[data-script-only]")) hidden.hidden = false;

// --- rows ----------------------------------------------------------------------------------------------------

const rows = [...document.querySelectorAll("[data-incident]")];
const current = () => rows.indexOf(document.activeElement?.closest("tr")?.querySelector("[data-incident]"));

function step(by) {
  const next = Math.min(Math.max(current() + by, 0), rows.length - 1);
  rows[next]?.focus();
  rows[next]?.closest("tr").scrollIntoView({ block: "nearest" });
}

const box = (link) => link?.closest("tr").querySelector("input[type=checkbox]");
const chosen = () => rows.filter((link) => box(link)?.checked);

function tell() {
  const count = chosen().length;
  for (const place of document.querySelectorAll("[data-chosen]")) place.textContent = String(count);
}

function toggle(link) {
  if (!box(link)) return;
  box(link).checked = !box(link).checked;
  tell();
}

function chooseAll(all) {
  for (const link of rows) if (box(link)) box(link).checked = all;
  tell();
}

// What is chosen, or else the row that has the focus.
function choose() {
  if (!chosen().length && current() >= 0) toggle(rows[current()]);
  return chosen().length > 0;
}

// --- what keys do --------------------------------------------------------------------------------------------

function press(selector) {
  const button = document.querySelector(selector);
  if (!button || button.disabled) return false;
  if (button.type === "radio") {
    button.checked = true;
    button.closest("form").querySelector("[type=submit]").focus();
  } else if (button.tagName === "A" || button.tagName === "BUTTON") {
    button.click();
  } else {
    button.focus();
  }
  return true;
}

// On the queue a verdict is chosen in the row of bulk actions and waits for Enter; on an incident likewise.
function verdict(value) {
  const list = bulk?.querySelector("[name=step]");
  if (list) {
    if (!choose()) return false;
    list.value = value;
    bulk.querySelector("[name=note]").focus();
    return true;
  }
  return press(`[data-verdict="${value}"]`);
}

function assign() {
  if (!bulk) return press("[data-key=assign]");
  if (!choose()) return false;
  bulk.querySelector("[name=step]").value = "assign";
  bulk.requestSubmit();
  return true;
}

const KEYS = {
  j: () => step(1),
  k: () => step(current() < 0 ? 0 : -1),
  x: () => toggle(rows[current()]),
  "*": () => chooseAll(chosen().length < rows.length),
  a: assign,
  t: () => verdict("true_positive"),
  f: () => verdict("false_positive"),
  e: () => verdict("exception"),
  s: () => verdict("escalated"),
  r: () => press("#reveal-reason"),
  u: () => press("[data-key=up]"),
  "/": () => press("#q"),
  "?": () => keyList?.showModal(),
};

const off = () => localStorage.getItem(SWITCH) === "off";
const writes = (target) =>
  target instanceof Element && target.closest("textarea, select, input:not([type=checkbox], [type=radio])");

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (event.key === "Escape" && writes(event.target)) event.target.blur();
  if (off() || writes(event.target) || document.querySelector("dialog[open]")) return;
  // A Korean keyboard sends ㅓ for the key that has J on it: the key counts, not the letter.
  const letter = /^Key[A-Z]$/.test(event.code) && !event.shiftKey ? event.code[3].toLowerCase() : event.key;
  const does = Object.hasOwn(KEYS, letter) ? KEYS[letter] : null;
  if (!does || !document.querySelector("[data-review]")) return;
  if (does() !== false) event.preventDefault();
});

const turn = document.querySelector("[data-keys-switch]");
if (turn) {
  turn.checked = !off();
  turn.addEventListener("change", () => localStorage.setItem(SWITCH, turn.checked ? "on" : "off"));
}

for (const all of document.querySelectorAll("[data-choose-all]")) {
  all.addEventListener("change", () => chooseAll(all.checked));
}
document.addEventListener("change", (event) => event.target.matches?.("[name=chosen]") && tell());
tell();

// A masked value leads to the form that opens it, with itself chosen.
for (const link of document.querySelectorAll("[data-span]")) {
  link.addEventListener("click", () => {
    const list = document.getElementById("what");
    if (list) list.value = link.dataset.span;
    window.setTimeout(() => document.getElementById("reveal-reason")?.focus());
  });
}

// What was opened is masked again when its time is over, also on a page that nobody reloads.
const open = document.querySelector("[data-until]");
if (open) {
  window.setTimeout(() => {
    for (const value of document.querySelectorAll(".opened")) value.textContent = "█████";
  }, new Date(open.dataset.until) - Date.now());
}

// --- counts --------------------------------------------------------------------------------------------------

const board = document.querySelector("[data-counts]");

async function count() {
  if (document.hidden) return;
  const answer = await fetch(board.dataset.counts, { headers: { accept: "application/json" } }).catch(() => null);
  if (!answer?.ok || answer.redirected) return;
  const counts = await answer.json();
  for (const [name, text] of Object.entries(counts.shown)) {
    const place = board.querySelector(`[data-count="${name}"]`);
    if (place && place.textContent !== text) place.textContent = text;
  }
  const news = document.querySelector("[data-news]");
  if (news) news.hidden = counts.newest === board.dataset.newest;
}

if (board) window.setInterval(count, COUNTS_EVERY_MS);
