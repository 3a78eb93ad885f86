// The library: which models are wanted stands in the address, so it can be kept, sent and gone back to.

import { get } from "./api.js";
import { el, empty, fill, say } from "./dom.js";
import { onConnection, onRecord } from "./events.js";
import { count, counted } from "./format.js";
import { Grid } from "./grid.js";

const TYPING_MS = 120;
const GATHER_MS = 2000;
const TAGS_SHOWN = 30;
const PLAIN = { text: "", type: "", tags: [], order: "name" };

const at = (id) => document.getElementById(id);
const grid = new Grid(at("grid"));
let wanted = readAddress();
let carried = []; // every tag with the number of models that carry it
let typing = 0;
let gathering = 0;
let latest = 0;

function readAddress() {
  const given = new URLSearchParams(location.search);
  const orders = [...at("order").options].map((option) => option.value);
  return {
    text: given.get("q") ?? "",
    type: given.get("type") ?? "",
    tags: given.getAll("tag"),
    order: orders.includes(given.get("order")) ? given.get("order") : PLAIN.order,
  };
}

function writeAddress(isStep) {
  const given = new URLSearchParams();
  const put = (name, value) => value && given.append(name, value);
  put("q", wanted.text);
  put("type", wanted.type);
  wanted.tags.forEach((tag) => put("tag", tag));
  put("order", wanted.order !== PLAIN.order && wanted.order);
  const address = given.size ? `?${given}` : location.pathname;
  history[isStep ? "pushState" : "replaceState"]({}, "", address);
}

// What the daemon is asked; it has models without a type under "others".
const asked = ({ text, type, tags }) => ({ text, type, tag: tags });

// Take what was typed; it is no step, so a step that follows leads back to it.
function takeTyped() {
  clearTimeout(typing);
  typing = 0;
  wanted = { ...wanted, text: at("text").value.trim() };
  writeAddress(false);
}

// Want something else; `isStep` makes it a step that the back button undoes.
function want(changes, { isStep = true } = {}) {
  if (typing) {
    takeTyped();
  }
  wanted = { ...wanted, ...changes };
  writeAddress(isStep);
  scrollTo(0, 0);
  look();
}

async function look({ isAgain = false } = {}) {
  const turn = ++latest;
  showControls();
  const { type, ...others } = asked(wanted);
  const parameters = { ...asked(wanted), order: wanted.order };
  try {
    const [counts, first] = await Promise.all([get("/api/models/count", others), isAgain ? null : grid.ahead(parameters)]);
    if (turn === latest) {
      const types = counts.types.map((known) => ({ ...known, type: known.type || "others" }));
      const number = type ? (types.find((known) => known.type === type)?.models ?? 0) : counts.total;
      if (isAgain) {
        grid.refresh(number);
      } else {
        grid.show(parameters, number, first);
      }
      showFound(number, types, counts.total);
      restoreScroll();
    }
  } catch (error) {
    if (error.status) {
      say(error.message, { isProblem: true });
    }
  }
}

function showFound(number, types, total) {
  showTypes(types, total);
  fill(at("found"), number ? counted(number, "model") : "");
  fill(at("nothing"), number === 0 && nothing());
}

function nothing() {
  if (!wanted.text && !wanted.type && !wanted.tags.length) {
    return empty("The library is empty.", "Models appear here when their files were found and hashed; the overview shows how far that is.");
  }
  const clear = el("button", { type: "button", on: { click: () => want({ ...PLAIN, order: wanted.order }) } }, "Show all models");
  const box = empty("No model fits.", "Every word has to be in the name, the path, the description or a tag.");
  box.append(clear);
  return box;
}

// Controls

function showControls() {
  if (at("text").value.trim() !== wanted.text && !typing) {
    at("text").value = wanted.text;
  }
  at("order").value = wanted.order;
  const chosen = wanted.tags.length + (wanted.type ? 1 : 0);
  fill(at("chosen"), chosen ? ` (${chosen} chosen)` : "");
  showTags();
}

function showTypes(types, total) {
  const all = [{ type: "", models: total }, ...types];
  if (wanted.type && !types.some((known) => known.type === wanted.type)) {
    all.push({ type: wanted.type, models: 0 });
  }
  const label = (type) => (type === "" ? "All types" : type === "others" ? "Without a type" : type);
  showChoices(
    at("types"),
    all.map(({ type, models }) => choice(label(type), models, wanted.type === type, `type ${type}`, () => want({ type }))),
  );
}

function showTags() {
  const sought = at("find-tag").value.trim().toLowerCase();
  const chosen = carried.filter((tag) => wanted.tags.includes(tag.name));
  const unknown = wanted.tags.filter((name) => !carried.some((tag) => tag.name === name)).map((name) => ({ name, models: 0 }));
  const others = carried.filter((tag) => !wanted.tags.includes(tag.name) && tag.name.toLowerCase().includes(sought));
  const shown = [...chosen, ...unknown, ...others.slice(0, TAGS_SHOWN)];
  const more = others.length - TAGS_SHOWN;
  showChoices(at("tags"), [
    ...shown.map((tag) => choice(tag.name, tag.models, wanted.tags.includes(tag.name), `tag ${tag.name}`, () => toggleTag(tag.name))),
    ...(more > 0 ? [el("li", { class: "soft small" }, `${count(more)} more: find them by name`)] : []),
    ...(carried.length === 0 ? [el("li", { class: "soft small" }, "No model carries a tag.")] : []),
  ]);
}

const toggleTag = (name) =>
  want({ tags: wanted.tags.includes(name) ? wanted.tags.filter((tag) => tag !== name) : [...wanted.tags, name] });

function choice(label, models, isPressed, key, press) {
  return el(
    "li",
    {},
    el(
      "button",
      { type: "button", class: "choice", "aria-pressed": String(isPressed), title: label, data: { key }, on: { click: press } },
      el("span", { class: "label", dir: "auto" }, label),
      el("span", { class: "number", "aria-label": counted(models, "model") }, count(models)),
    ),
  );
}

// Put choices in the place of others; the one that has the focus keeps it, and one that stays is the same elements:
// a button of which anything is replaced while it is pressed hears of no click.
function showChoices(list, items) {
  const key = list.contains(document.activeElement) && document.activeElement.dataset.key;
  const kept = new Map([...list.querySelectorAll("button")].map((button) => [button.dataset.key, button]));
  const shown = items.map((item) => {
    const button = item.querySelector("button");
    const old = button && kept.get(button.dataset.key);
    if (!old) {
      return item;
    }
    const [number, now] = [old, button].map((each) => each.querySelector(".number"));
    old.setAttribute("aria-pressed", button.getAttribute("aria-pressed"));
    number.textContent = now.textContent;
    number.setAttribute("aria-label", now.getAttribute("aria-label"));
    return old.parentElement;
  });
  if (shown.length === list.children.length && shown.every((item, index) => item === list.children[index])) {
    return;
  }
  fill(list, shown);
  if (key) {
    [...list.querySelectorAll("button")].find((button) => button.dataset.key === key)?.focus();
  }
}

async function lookAtTags() {
  const { tags } = await get("/api/tags/details").catch(() => ({ tags: carried }));
  carried = tags.filter((tag) => tag.models > 0).sort((one, other) => other.models - one.models);
  showTags();
}

// Where the reader was, when he comes back

function restoreScroll() {
  const top = history.state?.top;
  if (top) {
    history.replaceState({}, "");
    scrollTo(0, top);
  }
}

history.scrollRestoration = "manual";
addEventListener("pagehide", () => history.replaceState({ top: scrollY }, ""));
addEventListener("popstate", () => {
  wanted = readAddress();
  look();
});

at("wanted").addEventListener("submit", (event) => event.preventDefault());
at("text").addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(() => want({}, { isStep: false }), TYPING_MS);
});
at("order").addEventListener("change", () => want({ order: at("order").value }));
at("find-tag").addEventListener("input", showTags);
addEventListener("keydown", (event) => {
  if (event.key === "/" && !event.target.closest("input, textarea, select")) {
    event.preventDefault();
    at("text").focus();
  }
});

const isWide = matchMedia("(width >= 64rem)");
const openFilters = () => at("filters").toggleAttribute("open", isWide.matches);
isWide.addEventListener("change", openFilters);
openFilters();

// A model that comes, goes or changes; many at once are one look.
onRecord(() => {
  gathering ||= setTimeout(() => {
    gathering = 0;
    look({ isAgain: true });
    lookAtTags();
  }, GATHER_MS);
});

let isFirst = true;
onConnection((isThere) => {
  if (isThere && !isFirst) {
    look({ isAgain: true });
  }
  isFirst = false;
});

look();
lookAtTags();
