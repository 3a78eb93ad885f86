// What the daemon knows and does at this moment.

import { get, post } from "./api.js";
import { carryOut, el, empty, fill, say } from "./dom.js";
import { onConnection, onHashing, onRecords } from "./events.js";
import { ago, baseName, count, counted, share, size, span, speed } from "./format.js";
import { Pace, bytesLeft } from "./pace.js";
import { recordLine } from "./records.js";

const LOOK_MS = 1000;
const RECORDS_MAX = 8;
const ROOT_STATES = { watching: "watched", polling: "looked through at intervals", unreachable: "away" };
const view = document.getElementById("view");
const pace = new Pace();
let status = null;
let gathering = 0;

const button = (label, act, attributes = {}) => {
  const made = el("button", { type: "button", ...attributes, on: { click: () => carryOut(made, act) } }, label);
  return made;
};
const pause = button("Pause", () => post(`/api/migration/${status.paused ? "resume" : "pause"}`).then(look));
const scan = button("Look through the folders", async () => {
  const { scanned, added } = await post("/api/scan");
  say(`Looked at ${counted(scanned, "file")}: ${added ? `${counted(added, "new one")}` : "nothing new"}.`);
});
fill(document.getElementById("acts"), pause, scan);

const head = el("p", { class: "lead" });
const troubles = el("section", { class: "stack", "aria-label": "Troubles" });
const numbers = el("dl", { class: "numbers" });
const hashing = el("section", { class: "card", "aria-label": "Being hashed" });
const roots = el("section", { class: "card" });
const records = el("ol", { class: "records" });
const recent = el(
  "section",
  { class: "card" },
  el("div", { class: "row" }, el("h2", {}, "What happened last"), el("a", { class: "end", href: "/journal" }, "The whole journal")),
  records,
);

async function look() {
  gathering = 0;
  try {
    status = await get("/api/status");
    pace.take(status.hashing);
    show();
  } catch (error) {
    if (error.status) {
      say(error.message, { isProblem: true });
    }
  }
}

function show() {
  if (!head.isConnected) {
    fill(view, head, troubles, numbers, el("div", { class: "columns" }, hashing, roots), recent);
  }
  pause.textContent = status.paused ? "Go on" : "Pause";
  head.textContent = `Version ${status.version}, up for ${span(status.uptime_s)}`;
  fill(troubles, warnings().map(([sentence, help, kind]) => el("div", { class: [kind, "row"] }, el("p", {}, sentence), help && el("p", { class: "small" }, help))));
  fill(numbers, figures());
  showHashing(status.hashing);
  fill(roots, el("h2", {}, "Folders"), rootList());
}

// What is wrong or needs the reader, each with what helps.
function warnings() {
  const { pending, locations, watch } = status;
  const link = (href, text) => el("a", { href }, text);
  const found = (status.troubles ?? []).map(({ part, error, since }) => [`${part}: ${error}`, `Since ${ago(since)}. It goes on by itself as soon as it can.`, "problem"]);
  const needs = (number, sentence, help) => number && found.push([sentence, help, "notice"]);
  needs(status.paused, "Paused: no other file is begun until you go on.");
  needs(pending.conflict, `${counted(pending.conflict, "conflict")} to decide.`, link("/decide", "Decide now"));
  needs(pending.failed, `${counted(pending.failed, "row")} failed; each is tried again by itself.`, link("/queue?state=failed", "See why"));
  needs(pending.missing, `${counted(pending.missing, "row")} without a file.`, link("/queue?state=missing", pending.missing === 1 ? "Say where it is" : "Say where they are"));
  needs(locations.unreachable, `${counted(locations.unreachable, "file")} out of reach, in a folder that is away.`, "What is known of them stays. Mount the disk, and they are back.");
  needs(watch.overflows, "The kernel dropped events; the folders were looked through again, so nothing is missed.");
  return found;
}

function figures() {
  const { pending, locations } = status;
  const figure = (label, value, href) =>
    el("div", {}, el("dt", {}, href ? el("a", { href }, label) : label), el("dd", { class: "number" }, count(value)));
  return [
    figure("models", status.models, "/library"),
    figure("images", status.images),
    figure("tags", status.tags),
    figure("files present", locations.present),
    figure("files missing", locations.missing),
    figure("waiting", pending.waiting + pending.hashing, "/queue?state=waiting"),
  ];
}

function showHashing(now) {
  const left = bytesLeft(now);
  const rest = pace.secondsLeft(now);
  const waits = now.queued > 0 && `${counted(now.queued, "file")} of ${size(now.queued_bytes)} wait`;
  const remaining = rest !== null && `about ${span(rest)} left at ${speed(pace.bytesPerSecond)}`;
  const means = now.workers > 0 && [counted(now.workers, "worker"), now.implementation].filter(Boolean).join(": ");
  fill(
    hashing,
    el("h2", {}, "Being hashed"),
    now.active.map(fileBar),
    pace.mostBytes > 0 && now.queued > 0 && bar("all together", pace.mostBytes - left, pace.mostBytes, remaining),
    !now.active.length && el("p", { class: "soft" }, status.paused ? "Paused." : "Nothing at this moment."),
    now.stepped_back && el("p", { class: "soft" }, `Stepping back, one file at a time: ${now.stepped_back}.`),
    el("p", { class: "soft small" }, [waits, now.queued || now.active.length ? null : "Nothing waits", means].filter(Boolean).join("; ")),
  );
}

const fileBar = (file) =>
  bar(baseName(file.path), file.bytes_done, file.bytes_total, [
    file.bytes_per_s > 0 && speed(file.bytes_per_s),
    file.bytes_per_s > 0 && `${span((file.bytes_total - file.bytes_done) / file.bytes_per_s)} left`,
  ].filter(Boolean).join(", "));

function bar(name, done, total, more) {
  return el(
    "div",
    { class: "stack tight" },
    el("div", { class: "row" }, el("span", { class: "path" }, name), el("span", { class: "end small soft number" }, `${share(done, total)} of ${size(total)}`)),
    el("progress", { max: Math.max(total, 1), value: done, "aria-label": name }),
    more && el("p", { class: "small soft number" }, more),
  );
}

function rootList() {
  const { roots: known } = status.watch;
  if (!known.length) {
    return empty("No folder is watched", "Name one in the configuration: ", el("code", {}, "modelkeep init --root DIR"), " writes one.");
  }
  return el(
    "ul",
    { class: "stack" },
    known.map((root) =>
      el(
        "li",
        { class: "stack tight" },
        el("span", { class: "path mono" }, root.path),
        el(
          "span",
          { class: "small soft" },
          el("span", { class: ["dot", root.state] }),
          `${ROOT_STATES[root.state] ?? root.state}, ${counted(root.directories, "folder")}`,
        ),
        root.reason && el("p", { class: "notice small" }, root.reason),
      ),
    ),
  );
}

async function showRecords() {
  const known = await get("/api/journal", { limit: RECORDS_MAX });
  fill(records, known.records.reverse().map((record) => recordLine(record)));
}

onRecords((fresh) => {
  records.prepend(...fresh.slice(-RECORDS_MAX).reverse().map((record) => recordLine(record)));
  [...records.children].slice(RECORDS_MAX).forEach((line) => line.remove());
  look();
});
onHashing((active) => {
  if (status) {
    status.hashing = { ...status.hashing, active };
    showHashing(status.hashing);
    gathering ||= setTimeout(look, LOOK_MS);
  }
});
onConnection((isThere) => {
  if (isThere) {
    look();
    showRecords().catch(() => {});
  }
});
