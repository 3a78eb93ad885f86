// The queue: what waits, failed or is missing, why, and what helps.

import { get, post, remove } from "./api.js";
import { carryOut, confirmed, el, empty, fill, say } from "./dom.js";
import { onConnection, onRecords } from "./events.js";
import { ago, called, capitalised, count, counted, dateTime, size } from "./format.js";
import { label, source } from "./sides.js";
import { became } from "./words.js";

const PIECE = 100;
const GATHER_MS = 1000;
const FILTERS = [
  ["", "Everything"],
  ["waiting", "Waiting"],
  ["conflict", "In conflict"],
  ["failed", "Failed"],
  ["missing", "Missing"],
];
const NOTHING = {
  "": ["The queue is empty", "Everything that was found is hashed and in the catalogue."],
  waiting: ["Nothing waits", "New files come here by themselves as soon as they are complete."],
  conflict: ["Nothing to decide", "Whatever was found agrees with what is known."],
  failed: ["Nothing failed", "A file that cannot be read is tried again by itself; until then it is here, with the reason."],
  missing: ["Nothing is missing", "A row whose file is not where it should be comes here; you can say where it lies now."],
};
const LISTED = new Set(["sweep.finished", "import.finished"]);
const view = document.getElementById("view");
let state = new URLSearchParams(location.search).get("state") ?? "";
let rows = [];
let isWhole = true;
const cards = new Map();

const tabs = el("div", { class: "row", role: "group", "aria-label": "Which rows" });
const retryAll = el("button", { type: "button", on: { click: () => retry(retryAll) } }, "Try all again now");
const list = el("ul", { class: "rows" });
const more = el("button", { type: "button", on: { click: () => carryOut(more, fetchMore) } }, "Show more");
fill(view, el("div", { class: "row" }, tabs, el("div", { class: "end" }, retryAll)), list, more);

async function fetchMore() {
  await fetchRows(rows.length + PIECE);
  show();
}

async function fetchRows(most) {
  // One more than is shown tells whether there is more.
  const { pending } = await get("/api/pending", { state, limit: most + 1 });
  rows = pending.slice(0, most);
  isWhole = pending.length <= most;
}

async function look() {
  try {
    const [status] = await Promise.all([get("/api/status"), fetchRows(Math.max(PIECE, rows.length))]);
    showTabs(status.pending);
    show();
  } catch (error) {
    if (error.status) {
      say(error.message, { isProblem: true });
    }
  }
}

function showTabs(pending) {
  const known = { ...pending, waiting: pending.waiting + pending.hashing };
  const all = FILTERS.reduce((sum, [name]) => sum + (known[name] ?? 0), 0);
  if (tabs.children.length) {
    [...tabs.querySelectorAll(".number")].forEach((place, at) => { place.textContent = count(known[FILTERS[at][0]] ?? all); });
  } else {
    fill(tabs, FILTERS.map(([name, title]) => tab(name, title, known[name] ?? all)));
  }
  for (const one of tabs.children) {
    one.setAttribute("aria-pressed", String(one.dataset.state === state));
  }
  retryAll.hidden = !(pending.failed + pending.missing) || ["waiting", "conflict"].includes(state);
}

const tab = (name, title, number) =>
  el("button", { type: "button", class: "tab", data: { state: name }, on: { click: () => choose(name) } }, title, el("span", { class: "number soft" }, count(number)));

function choose(name) {
  state = name;
  rows = [];
  history.replaceState(null, "", name ? `/queue?state=${name}` : "/queue");
  look();
}

// Rows come and go one by one: what a reader is typing in another one stays.
function show() {
  more.hidden = isWhole;
  const shown = rows.map((row) => {
    const known = cards.get(row.id);
    known?.update(row);
    const card = known?.state === row.state ? known : makeCard(row);
    cards.set(row.id, card);
    return card.element;
  });
  const nothing = rows.length ? [] : [el("li", {}, empty(...(NOTHING[state] ?? NOTHING[""])))];
  [...list.children].filter((line) => !shown.includes(line)).forEach((line) => line.remove());
  [...shown, ...nothing].forEach((line, at) => list.children[at] === line || list.insertBefore(line, list.children[at] ?? null));
}

function makeCard(row) {
  const name = called(row);
  const act = (title, does, attributes = {}) => {
    const made = el("button", { type: "button", "aria-label": `${title}: ${name}`, ...attributes, on: { click: () => does(made) } }, title);
    return made;
  };
  const [reason, origin] = [el("p", {}), el("p", { class: "small soft" })];
  const details = el("div", { class: "stack", hidden: true });
  const isStuck = row.state === "failed" || row.state === "missing";
  const element = el(
    "li",
    { class: "card line" },
    el(
      "div",
      { class: "row" },
      el("span", { class: ["mark", row.state] }, row.state),
      el("h2", {}, name),
      el("span", { class: "end small soft number" }, [row.type, row.size_bytes > 0 && size(row.size_bytes)].filter(Boolean).join(", ")),
    ),
    el("p", { class: "mono soft" }, row.path),
    reason,
    origin,
    el(
      "div",
      { class: "row" },
      row.state === "conflict" && el("a", { class: "button", href: `/decide?row=${row.id}` }, "Decide"),
      isStuck && act("Try again now", (button) => retry(button, row)),
      row.state === "missing" && act("Its file is here now…", (button) => openDetails(button, row, details), { "aria-expanded": "false" }),
      act("Drop…", (button) => drop(button, row), { class: "danger" }),
    ),
    details,
  );
  const update = (now) => {
    fill(reason, now.last_error);
    fill(origin, about(now));
  };
  update(row);
  return { state: row.state, element, update };
}

function about(row) {
  const known = source(row.source);
  const tried = row.attempts > 0 && `tried ${counted(row.attempts, "time")}`;
  const due = row.state === "failed" && row.due_at > 0 && `again ${row.due_at > Date.now() ? ago(row.due_at) : "in a moment"}`;
  return [capitalised(known), row.created_at > 0 && `created ${dateTime(row.created_at)}`, tried, due].filter(Boolean).join("; ");
}

const retry = (button, row) =>
  carryOut(button, async () => {
    const { retried } = await post("/api/pending/retry", row ? { ids: [row.id] } : {});
    say(`${counted(retried, "row")} will be tried again.`);
    await look();
  });

function openDetails(button, row, details) {
  details.hidden = !details.hidden;
  button.setAttribute("aria-expanded", String(!details.hidden));
  if (!details.hidden) {
    showOffers(row, details);
  }
}

// Show the files that may be the row's, and let the reader name another one.
async function showOffers(row, details) {
  const path = el("input", { id: `path-${row.id}`, name: "path", required: true, autocomplete: "off", spellcheck: "false", placeholder: row.path });
  const form = el(
    "form",
    { class: "row", on: { submit: (event) => { event.preventDefault(); place(row, path.value, event.submitter); } } },
    el("label", { for: path.id }, "Its path now"),
    path,
    el("button", {}, "It is this file"),
  );
  fill(details, form);
  try {
    const { offers } = await get(`/api/pending/${row.id}`);
    const found = offers.map((offer) =>
      el("li", { class: "row" }, el("span", { class: "path mono" }, offer), el("button", { type: "button", class: "end", "aria-label": `It is this file: ${offer}`, on: { click: (event) => place(row, offer, event.currentTarget) } }, "It is this file")),
    );
    const told = found.length ? "Files of the same name and size:" : "No file of the same name and size is known. If it lies in a watched folder, name its path:";
    fill(details, el("p", { class: "small soft" }, told), found.length > 0 && el("ul", { class: "stack" }, found), form);
  } catch (error) {
    say(error.message, { isProblem: true });
  }
}

const place = (row, path, button) =>
  carryOut(button, async () => {
    const { action_taken: action } = await post("/api/migration/import_a_model", { id: row.id, path });
    say(`${called(row)}: ${became(action)}`);
    await look();
  });

// Drop a row after the reader has seen what is lost with it.
const drop = (button, row) =>
  carryOut(button, async () => {
    const { pending, sides } = await get(`/api/pending/${row.id}`);
    const known = Object.keys(sides.pending).map(label);
    const tags = pending.tags.map((tag) => tag.name);
    const lost = [
      known.length > 0 && `What is known of it: ${known.join(", ")}.`,
      tags.length > 0 && `Its ${tags.length === 1 ? "tag" : "tags"}: ${tags.join(", ")}.`,
      pending.image && "Its image.",
    ].filter(Boolean);
    const isWanted = await confirmed({
      title: `Drop ${called(row)}?`,
      sentences: [
        lost.length ? "This is lost:" : "Nothing is known of it but its path.",
        ...lost,
        "Its file is not touched. If that lies in a watched folder, it comes back as a new one.",
      ],
      act: "Drop the row",
    });
    if (isWanted) {
      await remove(`/api/pending/${row.id}`);
      say(`${called(row)}: the row is dropped.`);
      await look();
    }
  });

onRecords((fresh) => fresh.some(({ event, pending_id: row }) => row !== undefined || LISTED.has(event)) && look(), GATHER_MS);
onConnection((isThere) => isThere && look());
