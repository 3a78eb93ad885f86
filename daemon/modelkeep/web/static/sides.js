// Both sides of a conflict next to each other: images, facts, tags, and texts with the words that differ.

import { el, outer } from "./dom.js";
import { diffWords } from "./diff.js";
import { counted, dateTime, size } from "./format.js";

const LABELS = {
  name: "name",
  type: "type",
  base: "base model",
  description: "description",
  community_links: "links",
  "prompts.positive": "positive prompt",
  "prompts.negative": "negative prompt",
};

// What a person calls a value that the daemon names.
export const label = (key) => LABELS[key] ?? key.replaceAll("_", " ").replaceAll(".", " · ");

const SOURCES = { watch: "found in a folder", claim: "an older hash that its file does not have" };
export const source = (name) => SOURCES[name] ?? `from the import of ${name}`;

// Return the elements of a comparison; `details` is what the daemon says of a row.
export function sides({ pending, existing, sides: texts }) {
  const { model } = existing;
  return [
    el("div", { class: "side head" }, el("h3", {}, "In the queue"), el("p", { class: "soft small" }, `row ${pending.id}, ${source(pending.source)}`)),
    el(
      "div",
      { class: "side head" },
      el("h3", {}, "In the catalogue"),
      el("p", { class: "soft small" }, el("a", { href: `/model/${model.sha256}` }, "open the model")),
    ),
    figure([pending.image && `/api/images/pending/${pending.id}`].filter(Boolean), `Image of the row ${pending.name}`),
    figure(
      existing.images.map(({ seq }) => `/api/images/${model.sha256}_${seq}.webp`),
      `Image of the model ${model.name}`,
    ),
    ...pair("file", [paths([pending.path])], [paths(existing.locations.map((location) => location.path))]),
    ...pair("size and age", [facts(pending.size_bytes, pending.created_at)], [facts(model.size_bytes, model.created_at)]),
    ...tagRows(pending.tags, model.tags),
    ...textRows(texts.pending, texts.existing),
  ];
}

const paths = (known) => el("ul", { class: "stack" }, known.map((path) => el("li", { class: "path mono" }, path)));
const facts = (bytes, createdAt) => `${bytes > 0 ? size(bytes) : "of unknown size"}, ${createdAt ? `created ${dateTime(createdAt)}` : "created at an unknown time"}`;

function figure(addresses, name) {
  if (!addresses.length) {
    return el("div", { class: "side image none" }, el("p", { class: "soft" }, "no image"));
  }
  const shown = el("img", { src: addresses[0], alt: name, decoding: "async" });
  shown.addEventListener("error", () => shown.replaceWith(el("p", { class: "soft" }, "This image cannot be shown here.")));
  const choices = addresses.map((address, index) =>
    el(
      "button",
      { type: "button", class: "thumb", "aria-label": `Image ${index + 1} of ${addresses.length}`, on: { click: () => { shown.src = address; } } },
      el("img", { src: `${address}?quality=low`, alt: "", loading: "lazy" }),
    ),
  );
  return el("figure", { class: "side image" }, shown, choices.length > 1 && el("figcaption", { class: "row" }, choices));
}

const pair = (name, one, other) => [el("h4", { class: "key" }, name), cell("In the queue", one), cell("In the catalogue", other)];
const both = (name, children) => [el("h4", { class: "key" }, name), el("div", { class: "value both" }, children)];
const cell = (side, children) =>
  el("div", { class: "value", "data-side": side }, el("span", { class: "unseen" }, `${side}: `), children);

function tagRows(one, other) {
  const [names, others] = [one, other].map((tags) => tags.map((tag) => tag.name));
  if (!names.length && !others.length) {
    return [];
  }
  const tags = (shown, against) =>
    el(
      "ul",
      { class: "tags" },
      [...shown].sort((a, b) => against.includes(b) - against.includes(a)).map((name) =>
        el("li", { class: ["tag", !against.includes(name) && "only"] }, name, !against.includes(name) && el("span", { class: "unseen" }, " (only here)")),
      ),
    );
  const none = el("span", { class: "soft" }, "none");
  return pair("tags", names.length ? tags(names, others) : none, others.length ? tags(others, names) : none.cloneNode(true));
}

// What differs comes first; what both sides say stands once.
function textRows(one, other) {
  const keys = [...new Set([...Object.keys(one), ...Object.keys(other)])];
  const isSame = (key) => one[key] === other[key];
  return [...keys.filter((key) => !isSame(key)), ...keys.filter(isSame)].flatMap((key) =>
    isSame(key) ? both(label(key), [el("p", { class: "text" }, outer(one[key])), same()]) : differing(key, one[key] ?? "", other[key] ?? ""),
  );
}

const same = () => el("p", { class: "soft small" }, "the same on both sides");

function differing(key, one, other) {
  if (!one || !other) {
    const shown = (text) => (text ? el("p", { class: "text" }, outer(text)) : el("span", { class: "soft" }, "nothing"));
    return pair(label(key), shown(one), shown(other));
  }
  const pieces = diffWords(one, other);
  return pair(label(key), marked(pieces.one, "removed"), marked(pieces.other, "added"));
}

const marked = (pieces, kind) =>
  el("p", { class: "text" }, pieces.map(({ text, differs }) => (differs ? el("mark", { class: kind }, text) : text)));

const ENGLISH = new Intl.ListFormat("en-GB");

// Return what a strategy does, as sentences: what comes to the model, and what is lost on either side.
export function effects({ effect, image, removes_row: removesRow }) {
  if (!removesRow) {
    return { done: "Nothing changes; the row stays in the queue", lost: [] };
  }
  const added = [...labels(effect.added), tags(effect.added_tags), effect.image === "added" && `the row's image as number ${image}`];
  const replaced = [...labels(effect.replaced), effect.image === "replaced" && `image ${image}`];
  const lost = [...labels(effect.lost), tags(effect.lost_tags), effect.image_lost && "image"];
  return {
    done: said("Adds", added) || (replaced.some(Boolean) ? "" : "The model stays as it is"),
    lost: [said("Replaces the model's", replaced), said("Loses the row's", lost)].filter(Boolean),
  };
}

const said = (what, things) => (things.some(Boolean) ? `${what} ${joined(things.filter(Boolean))}` : "");
const joined = (words) => ENGLISH.format(words);
const tags = (names) => names.length > 0 && `${names.length > 1 ? "tags" : "tag"} ${joined(names.map((name) => `“${name}”`))}`;
const labels = (keys) => (keys.length > 4 ? [counted(keys.length, "value")] : keys.map(label));
