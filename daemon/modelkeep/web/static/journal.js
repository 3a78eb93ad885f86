// The journal: what happened, live; of everything, or of one model as its story.

import { get } from "./api.js";
import { el, empty, fill, say } from "./dom.js";
import { onConnection, onRecords } from "./events.js";
import { counted, day } from "./format.js";
import { chapters, recordLine } from "./records.js";
import { isFailure, short } from "./words.js";

const PIECE = 200;
const TYPING_MS = 300;
const SPANS = { "": "from the beginning", "1h": "the last hour", "1d": "the last day", "7d": "the last week", "30d": "the last month" };
const SPAN_MS = { h: 3_600_000, d: 86_400_000 };
const EVENTS = ["daemon.*", "import.*", "file.*", "hash.*", "claim.*", "migration.*", "image.*", "pending.*", "root.*", "watch.*", "rescan.*", "sweep.*", "journal.*", "recovery.*", "trouble.*", "doctor.*"];
const view = document.getElementById("view");
const address = new URLSearchParams(location.search);
let limit = PIECE;
let typing = 0;
let asked = 0;
let newest = 0;

const field = (name, input) => el("div", { class: "field" }, el("label", { for: input.id }, name), input);
const model = el("input", { id: "model", type: "search", value: address.get("model") ?? "", placeholder: "name, hash or path", autocomplete: "off", spellcheck: "false" });
const event = el("input", { id: "event", type: "search", value: address.get("event") ?? "", placeholder: "migration.*", list: "events", autocomplete: "off", spellcheck: "false" });
const since = el("select", { id: "since" }, Object.entries(SPANS).map(([value, title]) => el("option", { value, selected: value === (address.get("since") ?? "") }, title)));
const failed = el("input", { id: "failed", type: "checkbox", checked: address.get("failed") === "true" });
const filters = el(
  "form",
  { class: "row filters", role: "search", on: { submit: (submitted) => { submitted.preventDefault(); look(); } } },
  field("Story of a model", model),
  field("Event", event),
  field("Since", since),
  el("div", { class: "row tick" }, failed, el("label", { for: "failed" }, "Only failures")),
  el("datalist", { id: "events" }, EVENTS.map((value) => el("option", { value }))),
);
const told = el("p", { class: "soft small", role: "status" });
const list = el("ol", { class: "records" });
const more = el("button", { type: "button", hidden: true, on: { click: () => { limit += PIECE * 4; look(); } } }, "Show earlier ones");
fill(view, filters, told, el("div", { class: "card" }, list), more);

const wanted = () => ({
  model: model.value.trim(),
  event: event.value.trim(),
  since: since.value && Date.now() - Number.parseInt(since.value, 10) * SPAN_MS[since.value.at(-1)],
  failed: failed.checked || "",
});

async function look() {
  const mine = (asked += 1);
  remember();
  try {
    const { records } = await get("/api/journal", { ...wanted(), limit });
    if (mine === asked) {
      show(records);
    }
  } catch (error) {
    if (mine === asked && error.status) {
      say(error.message, { isProblem: true });
    }
  }
}

// The address has the filters: it can be kept, and the reader can go back.
function remember() {
  const given = Object.entries({ ...wanted(), since: since.value }).filter(([, value]) => value);
  const text = new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString();
  history.replaceState(null, "", text ? `/journal?${text}` : "/journal");
}

function show(records) {
  newest = records.at(-1)?.seq ?? newest;
  const isStory = Boolean(model.value.trim());
  more.hidden = records.length < limit;
  fill(told, isStory ? story(records) : news(records.length));
  // A story is read from its beginning, news from the end.
  const inOrder = isStory ? chapters(records) : records.toReversed();
  fill(list, lines(inOrder, { isLink: !isStory }));
  if (!records.length) {
    fill(list, el("li", {}, empty("Nothing like that happened", "Ask for more: another name, any event, or a longer time.")));
  }
}

const news = (number) => `${counted(number, "record")}, the newest first. New ones come by themselves.`;

function story(records) {
  const name = model.value.trim();
  const sha256 = records.findLast((record) => record.sha256)?.sha256;
  return [
    `The story of ${name === sha256 ? short(name) : name}, from its beginning: ${counted(records.length, "record")}. `,
    sha256 && el("a", { href: `/model/${sha256}` }, "Open the model"),
  ];
}

function lines(records, options) {
  return records.flatMap((record, at) => {
    const isNewDay = at === 0 || day(records[at - 1].ts) !== day(record.ts);
    return [isNewDay && el("li", { class: "day" }, el("h2", {}, day(record.ts))), recordLine(record, options)];
  });
}

// Whether a record that has just been written passes the filters; a story is asked for again.
function passes(record) {
  const glob = event.value.trim();
  const pattern = new RegExp(`^${glob.replace(/[.+^${}()|\\]/g, "\\$&").replaceAll("*", ".*").replaceAll("?", ".")}$`);
  return (!glob || pattern.test(record.event)) && (!failed.checked || isFailure(record));
}

onRecords((fresh) => {
  if (model.value.trim()) {
    look();
    return;
  }
  const passing = fresh.filter((record) => record.seq > newest && passes(record)).slice(-limit);
  if (passing.length) {
    prepend(passing.reverse());
  }
});

function prepend(records) {
  newest = records[0].seq;
  list.querySelector(".empty")?.closest("li").remove();
  // The first day that is shown may be that of the new ones; it is told once.
  const head = list.querySelector(".day");
  if (head && head.textContent === day(records.at(-1).ts)) {
    head.remove();
  }
  list.prepend(...lines(records).filter(Boolean));
  [...list.querySelectorAll(".record")].slice(limit).forEach((line) => line.remove());
  fill(told, news(list.querySelectorAll(".record").length));
}

for (const input of [model, event, since, failed]) {
  input.addEventListener("input", () => {
    limit = PIECE;
    clearTimeout(typing);
    typing = setTimeout(look, TYPING_MS);
  });
}
onConnection((isThere) => isThere && look());
