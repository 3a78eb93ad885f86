// What the file of a model says of itself, what other tools know of it, and the digests by which they know it.

import { copyButton } from "./copying.js";
import { el, outer } from "./dom.js";
import { ago, capitalised, counted } from "./format.js";

const LONG = 2000;

// Return an element for a header {format, keys, problem, meaning}; nothing for one that says nothing.
export function shownHeader({ format, keys, problem, meaning }) {
  const number = Object.keys(keys).length;
  if (number === 0 && !problem) {
    return null;
  }
  return el(
    "div",
    { class: "stack" },
    shownMeaning(meaning),
    problem && el("p", { class: "notice" }, problem),
    number > 0 && el("details", {}, el("summary", {}, `${counted(number, "key")} of its ${format} header`), el("dl", { class: "keys" }, Object.entries(keys).map(([key, value]) => [el("dt", { dir: "auto" }, key), el("dd", { dir: "auto" }, brief(text(value)))]))),
  );
}

// Return elements for what other tools know, {kind: records}; the header of the file has its own place.
export function shownSources(sources) {
  return Object.entries(sources)
    .filter(([kind]) => kind !== "header")
    .flatMap(([kind, records]) => records.map((record) => shownSource(kind, record)));
}

function shownSource(kind, { key, gone, last_seen, meaning, remarks }) {
  return el(
    "details",
    {},
    el("summary", {}, el("strong", {}, kind), gone && ` (gone since ${ago(last_seen)})`),
    el("p", { class: "small soft path", dir: "auto" }, key),
    shownMeaning(meaning),
    remarks.map((remark) => el("p", { class: "notice" }, remark)),
  );
}

const shownMeaning = (meaning) =>
  el("dl", { class: "facts" }, Object.entries(meaning).map(([name, value]) => fact(name.replaceAll("_", " "), value)));

// Return an element for the digests of a content, by kind.
export function shownDigests(digests) {
  const known = Object.entries(digests).filter(([kind, digest]) => digest && kind !== "sha256");
  if (known.length === 0) {
    return null;
  }
  return el(
    "details",
    {},
    el("summary", {}, "Other hashes of it"),
    el("dl", { class: "keys" }, known.map(([kind, digest]) => [el("dt", {}, kind), el("dd", { class: "with-copy" }, el("code", { class: "path" }, digest), copyButton(`the ${kind}`, () => digest))])),
  );
}

function fact(name, value) {
  const whole = text(value);
  return [
    el("dt", {}, capitalised(name)),
    el("dd", { class: "with-copy", dir: "auto" }, el("span", { class: "said" }, brief(whole).split(/(\s+)/).map(outer)), name === "trigger words" && copyButton("the trigger words", () => whole)),
  ];
}

// Texts as they are, lists of texts with commas, whatever else as JSON.
function text(value) {
  if (typeof value === "string") {
    return value;
  }
  const isTexts = Array.isArray(value) && value.every((item) => typeof item === "string");
  return isTexts ? value.join(", ") : (value?.value ?? JSON.stringify(value));
}

const brief = (whole) => (whole.length > LONG ? `${whole.slice(0, LONG)} …` : whole);
