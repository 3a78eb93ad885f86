// Contents that lie at several places: which files are copies, which are links, and what could be freed.

import { get } from "./api.js";
import { copyButton } from "./copying.js";
import { carryOut, el, empty, fill } from "./dom.js";
import { onConnection } from "./events.js";
import { called, counted, size } from "./format.js";

const SHOWN_AT_ONCE = 100;

const at = (id) => document.getElementById(id);
const again = el("button", { type: "button", on: { click: () => carryOut(again, look) } }, "Look again");
let found = [];
let shown = 0;

async function look() {
  const told = await get("/api/duplicates");
  found = told.duplicates;
  shown = 0;
  fill(at("duplicates"));
  if (found.length) {
    const sum = told.freeable_bytes
      ? [el("strong", { class: "number" }, size(told.freeable_bytes)), " could be freed "]
      : "Nothing could be freed: what lies at several places are links";
    fill(at("summary"), sum, el("span", { class: "soft" }, `by ${counted(found.length, "content")} at several places`), " ", again);
    showMore();
  } else {
    fill(at("summary"), again);
    fill(at("more"), empty("No duplicates.", "Every content lies at one place only."));
  }
  at("siblings").hidden = told.siblings.length === 0;
  fill(at("families"), told.siblings.map(shownFamily));
}

const shownFamily = (models) =>
  el(
    "li",
    { class: "card" },
    el(
      "ul",
      { class: "files" },
      models.map(({ sha256, name, path, size_bytes }) =>
        el(
          "li",
          { class: "file" },
          el("span", { class: "small number soft" }, size(size_bytes)),
          el("span", { dir: "auto" }, el("a", { href: `/model/${sha256}` }, called({ name, path })), el("span", { class: "small soft path" }, ` ${path}`)),
          copyButton("the path", () => path),
        ),
      ),
    ),
  );

function showMore() {
  const next = found.slice(shown, shown + SHOWN_AT_ONCE);
  shown += next.length;
  const items = next.map(shownDuplicate);
  at("duplicates").append(...items);
  const left = found.length - shown;
  const button = el(
    "button",
    {
      type: "button",
      on: {
        click: () => {
          showMore().querySelector("a").focus();
        },
      },
    },
    `Show more (${counted(left, "content")} left)`,
  );
  fill(at("more"), left > 0 && button);
  return items[0];
}

function shownDuplicate(item) {
  return el(
    "li",
    { class: "card duplicate" },
    el(
      "div",
      { class: "row" },
      el("h2", { dir: "auto" }, el("a", { href: `/model/${item.sha256}` }, called({ name: item.name, path: item.copies.flat().at(0) ?? "" }))),
      item.type && el("span", { class: "mark" }, item.type),
      el("p", { class: "end" }, freeable(item)),
    ),
    el("ul", { class: "files" }, item.copies.map((names, index) => shownCopy(names, index)), item.symbolic_links.map(shownLink), item.away.map(shownAway)),
  );
}

const freeable = ({ freeable_bytes, copies, size_bytes }) =>
  freeable_bytes
    ? [el("strong", { class: "number" }, size(freeable_bytes)), el("span", { class: "soft small" }, ` to free: ${counted(copies.length, "copy", "copies")} of ${size(size_bytes)}`)]
    : el("span", { class: "soft small" }, `nothing to free, ${size(size_bytes)}`);

// The first name of a file, and below it others of the same file, which take no space.
function shownCopy([first, ...others], index) {
  return [file(`copy ${index + 1}`, "", first), ...others.map((path) => file("hard link", `the same file as copy ${index + 1}: takes no space`, path, "soft"))];
}

const shownLink = (path) => file("symbolic link", "takes no space", path, "soft");

const shownAway = ({ path, state, claimed }) =>
  file(state === "present" ? "not sure" : state, claimed ? "its hash is not confirmed yet" : state === "present" ? "changed, or not read yet" : "not there at this moment", path, "soft");

function file(mark, what, path, kind) {
  return el(
    "li",
    { class: ["file", kind] },
    el("span", { class: "mark" }, mark),
    el("span", { class: "path", dir: "auto" }, path),
    copyButton("the path", () => path),
    what && el("span", { class: "small what" }, what),
  );
}

let isFirst = true;
onConnection((isThere) => {
  if (isThere && !isFirst) {
    carryOut(again, look);
  }
  isFirst = false;
});

carryOut(again, look);
