// Records of the journal as a list of lines: when, what, which file, and what happened to it.

import { el } from "./dom.js";
import { baseName, clock, dateTime } from "./format.js";
import { isFailure, sentence } from "./words.js";

// Return a line; with `isLink` the file's name leads to the story of its model.
export function recordLine(record, { isLink = true, hasDay = false } = {}) {
  const name = record.path ? baseName(record.path) : "";
  const story = record.sha256 || record.path;
  const shown = hasDay ? dateTime(record.ts) : clock(record.ts);
  return el(
    "li",
    { class: ["record", isFailure(record) && "failure"] },
    el("time", { datetime: record.ts, title: dateTime(record.ts), class: "number soft" }, shown),
    el("span", { class: "event soft" }, record.event),
    el(
      "span",
      { class: "text" },
      name && (isLink ? el("a", { href: `/journal?model=${encode(story)}`, title: record.path }, name) : el("strong", {}, name)),
      name && ": ",
      isFailure(record) && el("span", { class: "unseen" }, "failure: "),
      sentence(record),
    ),
  );
}

const STEPS = new Set(["migration.planned", "migration.committed", "image.published"]);

// Return the records of a story without the steps of migrations whose end tells of them.
export function chapters(records) {
  const finished = new Set(records.filter(({ event }) => event === "migration.finished").map(({ migration }) => migration));
  return records.filter(({ event, migration }) => !(STEPS.has(event) && finished.has(migration)));
}

// What is no UTF-8 cannot stand in an address; the hash of such a file can.
const encode = (text) => encodeURIComponent(text.toWellFormed());
