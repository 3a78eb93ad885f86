// One model: its images, what is said of it, its file and its story.

import { ApiError, get, getVersion, patchVersion, post } from "./api.js";
import { copyButton } from "./copying.js";
import { el, empty, fill, outer, say } from "./dom.js";
import { Editable, line, lines } from "./editing.js";
import { onConnection, onRecord } from "./events.js";
import { ago, dateTime, size } from "./format.js";
import { Gallery } from "./gallery.js";
import { shownDigests, shownHeader, shownSources } from "./own_words.js";
import { recordLine } from "./records.js";
import { tagControl } from "./tag_editing.js";

const STORY_LINES = 50;
const GATHER_MS = 300;

const at = (id) => document.getElementById(id);
const sha256 = location.pathname.split("/").at(-1).toLowerCase();
const address = `/api/models/${sha256}`;
const gallery = new Gallery(at("gallery"), sha256, look);
let known = { model: null, etag: null };
let editables = [];
let gathering = 0;

// What is stored may be of any kind; what is no text is shown as JSON.
const text = (value) => (typeof value === "string" ? value : JSON.stringify(value));

async function look() {
  try {
    const [{ data: model, etag }, details] = await Promise.all([getVersion(address), get(`${address}/details`)]);
    known = { model, etag };
    show(details);
  } catch (error) {
    if (error.status === 404) {
      showNothing();
    } else if (error.status) {
      say(error.message, { isProblem: true });
    }
  }
}

function showNothing() {
  at("model").hidden = true;
  document.title = "No such model · modelkeep";
  fill(at("nothing"), el("h1", {}, "No such model"), empty("There is no model of that hash.", "It may have been forgotten since, or the address is wrong."));
}

function show(details) {
  at("model").hidden = false;
  fill(at("nothing"));
  document.title = `${known.model.name || "Model"} · modelkeep`;
  gallery.show(details.images, known.model.name);
  if (editables.length === 0) {
    makeEditables();
  }
  editables.forEach((editable) => editable.refresh());
  showFacts(details);
}

// What is said of it

// Return an editable for a part of the model: `read` takes it from a model, `write` makes of a value what is sent.
function editable(label, read, write, { control, show = shownText, ...more }) {
  const part = ({ data, etag }) => ({ value: read(data), etag });
  return new Editable({
    label,
    show,
    control,
    current: () => part({ data: known.model, etag: known.etag }),
    latest: async () => part(await getVersion(address)),
    save: async (value, etag) => {
      const { data, etag: newer } = await patchVersion(address, await write(value), etag);
      known = { model: data, etag: newer };
      document.title = `${data.name || "Model"} · modelkeep`;
    },
    ...more,
  });
}

function makeEditables() {
  const meta = (key, label) => editable(label, (model) => text(model.meta_json[key]), (value) => ({ meta_json: { [key]: value } }), { control: lines(label), show: shownProse });
  const prompt = (key, label, what) =>
    editable(label, (model) => text(model.meta_json.prompts[key]), (value) => ({ meta_json: { prompts: { [key]: value } } }), {
      control: lines(label),
      extra: () => text(known.model.meta_json.prompts[key]) && copyButton(what, () => text(known.model.meta_json.prompts[key])),
    });
  const name = editable("Name", (model) => model.name, (value) => ({ name: value }), {
    control: line("Name"),
    heading: "p",
    show: (value) => el("h1", { id: "name", dir: "auto" }, value.trim() || "Without a name"),
  });
  const type = editable("Type", (model) => model.type, (value) => ({ type: value }), { control: line("Type", { list: "known-types" }) });
  const tags = editable("Tags", (model) => model.tags.map((tag) => tag.name).sort(), toTagIds, { control: tagControl("known-tags"), show: shownTags });
  editables = [name, type, tags, meta("description", "Description"), prompt("positive", "Prompt", "the prompt"), prompt("negative", "Negative prompt", "the negative prompt"), meta("community_links", "Links")];
  fill(at("heading"), name.element);
  fill(at("texts"), editables.slice(1).map((part) => part.element));
  offerKnownNames();
}

async function toTagIds(names) {
  const { tags } = names.length ? await post("/api/tags_add", { newtags: names }) : { tags: [] };
  return { tags: tags.map((tag) => tag.id) };
}

async function offerKnownNames() {
  const [{ types }, { tags }] = await Promise.all([get("/api/models/get_types"), get("/api/tags")]).catch(() => [{ types: [] }, { tags: [] }]);
  const options = (id, names) => el("datalist", { id }, names.map((name) => el("option", { value: name })));
  document.body.append(options("known-types", types), options("known-tags", tags.map((tag) => tag.name)));
}

const none = () => el("p", { class: "soft" }, "–");
const shownText = (value) => (value ? el("p", { class: "said", dir: "auto" }, value) : none());

// Text in which addresses are links.
function shownProse(value) {
  return value ? el("p", { class: "said", dir: "auto" }, value.split(/(\s+)/).map(outer)) : none();
}

const shownTags = (names) =>
  names.length
    ? el("ul", { class: "tags" }, names.map((name) => el("li", {}, el("a", { class: "tag", href: `/library?tag=${encodeURIComponent(name.toWellFormed())}`, dir: "auto" }, name))))
    : none();

// Its file

function showFacts({ model, base, last_used_at, locations, refused, digests, header, sources, siblings }) {
  const facts = [
    ["Hash", el("span", { class: "with-copy" }, el("code", { class: "path" }, model.sha256), copyButton("the hash", () => model.sha256))],
    ["Size", el("span", { class: "number" }, size(model.size_bytes))],
    base && ["Base", base],
    ["Known since", dateTime(model.created_at)],
    last_used_at > 0 && ["Last used", dateTime(last_used_at)],
  ].filter(Boolean);
  const words = shownHeader(header);
  at("own-words").hidden = words === null;
  fill(at("words"), words);
  const told = shownSources(sources);
  at("sources").hidden = told.length === 0;
  fill(at("told"), told);
  fill(
    at("facts"),
    el("dl", { class: "facts" }, facts.map(([name, value]) => [el("dt", {}, name), el("dd", {}, value)])),
    el("h3", {}, locations.length === 1 ? "Location" : "Locations"),
    locations.length ? el("ul", { class: "locations" }, locations.map((place) => location_(place, model.path))) : none(),
    siblings.length > 0 && [
      el("h3", {}, "Same weights under another header"),
      el("ul", { class: "stack" }, siblings.map(({ sha256: other, name, state }) => el("li", { class: "row" }, el("a", { href: `/model/${other}`, class: "path" }, name || other), el("span", { class: ["mark", state] }, state)))),
    ],
    shownDigests(digests),
    refused.length > 0 && [
      el("h3", {}, "Images that could not be used"),
      el("ul", { class: "stack" }, refused.map(({ file, reason }) => el("li", { class: "small" }, el("span", { class: "path" }, file), ": ", reason))),
    ],
  );
}

function location_({ path, state, claimed, last_seen }, mainPath) {
  const seen = state === "present" ? "" : last_seen ? `, last seen ${ago(last_seen)}` : "";
  const isMain = path === mainPath && "main path";
  const marks = [isMain, claimed && "hash not confirmed yet"].filter(Boolean).join(", ");
  return el(
    "li",
    { class: "location" },
    el("span", { class: ["mark", state] }, state),
    el("span", { class: "path", dir: "auto" }, path),
    copyButton("the path", () => path),
    el("span", { class: "soft small" }, marks, seen),
  );
}

// Its story

async function lookAtStory() {
  try {
    const { records } = await get("/api/journal", { model: sha256, limit: STORY_LINES });
    const told = records.toReversed().map((record) => recordLine(record, { isLink: false, hasDay: true }));
    fill(at("story"), told.length ? told : el("li", { class: "soft" }, "The journal says nothing of it; its older parts may have been removed."));
  } catch (error) {
    if (error instanceof ApiError && error.status) {
      fill(at("story"), el("li", { class: "problem" }, error.message));
    }
  }
}

at("whole-story").href = `/journal?model=${sha256}`;
if (document.referrer.startsWith(`${location.origin}/library`)) {
  at("back").addEventListener("click", (event) => {
    event.preventDefault();
    history.back();
  });
}

onRecord((record) => {
  if (record.sha256 === sha256) {
    gathering ||= setTimeout(() => {
      gathering = 0;
      look();
      lookAtStory();
    }, GATHER_MS);
  }
});

let isFirst = true;
onConnection((isThere) => {
  if (isThere && !isFirst) {
    look();
  }
  isFirst = false;
});

look();
lookAtStory();
