// Conflicts one after the other: both sides, what each strategy keeps and loses, one key each.

import { get, post } from "./api.js";
import { Conflicts } from "./conflicts.js";
import { el, empty, fill, say } from "./dom.js";
import { onConnection, onRecord } from "./events.js";
import { called, count } from "./format.js";
import { decideMany } from "./many.js";
import { effects, sides } from "./sides.js";
import { became } from "./words.js";

export const STRATEGIES = [
  { name: "merge", key: "m", title: "Merge", what: "fills what the model does not say" },
  { name: "override", key: "o", title: "Override", what: "the row's words replace the model's" },
  { name: "delete", key: "d", title: "Drop the row", what: "the model stays as it is" },
  { name: "ignore", key: "i", title: "Leave it", what: "decide another time" },
];
const GATHER_MS = 1000;

const conflicts = new Conflicts();
const view = document.getElementById("view");
let busy = null;
let shownId = null;
let gathering = 0;
// Whether the row that is shown needs no decision any more; the reader goes on when he has read that.
let isOver = false;

const place = el("p", { class: "place soft number", role: "status" });
const button = (label, key, act) => el("button", { type: "button", "aria-keyshortcuts": key, on: { click: act } }, label, el("kbd", { "aria-hidden": "true" }, key));
const bar = fill(
  document.getElementById("bar"),
  place,
  button("Previous", "k", () => step(-1)),
  button("Next", "j", () => step(1)),
  el("button", { type: "button", on: { click: () => decideMany(conflicts.rows, STRATEGIES, goOn) } }, "The same for many…"),
);
const heading = el("h2", { id: "conflict", tabindex: "-1", class: "path" });
const reason = el("p", { class: "reason soft" });
const notice = el("div", { role: "status" });
const choices = STRATEGIES.map((strategy) => {
  const effect = el("span", { class: "effect" });
  const choice = el(
    "button",
    { type: "button", class: "choice", "aria-keyshortcuts": strategy.key, on: { click: () => decide(strategy) } },
    el("span", { class: "title" }, strategy.title, el("kbd", { "aria-hidden": "true" }, strategy.key)),
    effect,
  );
  return { strategy, choice, effect };
});
const comparison = el("section", { class: "sides", "aria-labelledby": "conflict" });
const decision = el("section", { class: "choices", "aria-label": "Decision" }, choices.map(({ choice }) => choice));
const parts = [el("div", { class: "stack" }, heading, reason), notice, comparison, decision];

async function look(id) {
  try {
    await conflicts.fetch(id, () => {
      const isFree = !isOver && busy === null;
      if (isFree && shownId === null) {
        show();
      } else if (isFree && conflicts.current?.id !== shownId) {
        over({ id: shownId }, "This row is no longer in conflict.");
      }
      place.textContent = where();
    });
  } catch (error) {
    say(error.message, { isProblem: true });
  }
}

// After a decision about many rows: whatever is left is shown.
function goOn() {
  shownId = null;
  isOver = false;
  look();
}

const where = () => `${count(conflicts.index + 1)} of ${count(conflicts.rows.length)}`;

function step(by) {
  conflicts.step(by);
  show();
}

async function show() {
  const row = conflicts.current;
  shownId = row?.id ?? null;
  isOver = false;
  history.replaceState(null, "", row ? `/decide?row=${row.id}` : "/decide");
  bar.hidden = !row;
  if (!row) {
    fill(view, empty("Nothing to decide", "A conflict comes here when a file's content is known already and two descriptions of it differ."));
    return;
  }
  if (!comparison.isConnected) {
    fill(view, ...parts);
  }
  place.textContent = where();
  fill(heading, called(row));
  await showSides(row);
}

async function showSides(row) {
  allow(false);
  fill(notice);
  try {
    const details = await get(`/api/pending/${row.id}`);
    if (row.id !== shownId) {
      return;
    }
    if (!details.existing || details.pending.state !== "conflict") {
      over(row, "This row is no longer in conflict.");
      return;
    }
    fill(reason, details.pending.last_error);
    fill(comparison, ...sides(details));
    for (const { strategy, effect } of choices) {
      const { done, lost } = effects(details.outcomes[strategy.name]);
      const nothing = details.outcomes[strategy.name].removes_row && "Nothing is lost";
      const losses = lost.length ? lost.map((loss) => el("span", { class: "lost" }, loss)) : nothing && el("span", { class: "soft" }, nothing);
      fill(effect, done && el("span", {}, done), losses);
    }
    allow(true);
  } catch (error) {
    if (row.id === shownId) {
      error.status === 404 ? over(row, "This row is gone: somebody decided or dropped it meanwhile.") : fail(error);
    }
  }
}

function allow(isAllowed) {
  for (const { choice } of choices) {
    choice.setAttribute("aria-disabled", String(!isAllowed));
  }
}

const fail = (error) => fill(notice, el("p", { class: "problem" }, error.message));

// Say that there is nothing left to decide about the row that is shown; the reader goes on.
function over(row, sentence) {
  allow(false);
  conflicts.drop(row.id);
  shownId = null;
  isOver = true;
  const next = el("button", { type: "button", on: { click: show } }, "Go on");
  fill(notice, el("div", { class: "notice row" }, el("span", {}, sentence), next));
  next.focus();
}

async function decide(strategy) {
  const row = conflicts.current;
  if (!row || row.id !== shownId || busy !== null || choices[0].choice.getAttribute("aria-disabled") === "true") {
    return;
  }
  busy = row.id;
  allow(false);
  try {
    const { action_taken: action } = await post("/api/migration/import_a_model", { id: row.id, conf_strategy: strategy.name });
    say(`${called(row)}: ${became(action)}`);
    action === "ignored" ? step(1) : done(row);
  } catch (error) {
    refused(row, error);
  } finally {
    busy = null;
  }
  heading.focus({ preventScroll: true });
}

function done(row) {
  conflicts.drop(row.id);
  show();
}

async function refused(row, error) {
  if (error.status === 404) {
    over(row, "This row is gone: somebody decided or dropped it meanwhile.");
    return;
  }
  const told = { 409: "Something changed meanwhile; this is how it is now.", 423: "This row is being migrated at this moment." }[error.status];
  await showSides(row);
  fill(notice, el("p", { class: "problem" }, [told, error.message].filter(Boolean).join(" ")));
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea, dialog")) {
    return;
  }
  const strategy = STRATEGIES.find(({ key }) => key === event.key);
  const by = { j: 1, k: -1 }[event.key];
  if (strategy && !event.repeat) {
    decide(strategy);
  } else if (by) {
    step(by);
  }
});

onRecord((record) => {
  if (record.pending_id === undefined || record.pending_id === busy) {
    return;
  }
  const isDecided = (record.event === "migration.finished" && record.action !== "ignored") || record.event === "pending.dropped";
  if (isDecided && record.pending_id === shownId) {
    const what = record.event === "pending.dropped" ? "dropped" : became(record.action);
    over(conflicts.current, `Somebody else decided this row meanwhile: ${what}.`);
  } else if (isDecided) {
    conflicts.drop(record.pending_id);
    place.textContent = where();
  } else if (record.event === "migration.conflicted") {
    gathering ||= setTimeout(() => { gathering = 0; look(); }, GATHER_MS);
  }
});

const asked = Number(new URLSearchParams(location.search).get("row")) || undefined;
let isFirst = true;
onConnection((isThere) => {
  if (isThere) {
    look(isFirst ? asked : undefined);
    isFirst = false;
  }
});
