// The same decision for many conflicts, after a preview of how many it concerns.

import { post } from "./api.js";
import { el, fill } from "./dom.js";
import { called, count, counted } from "./format.js";
import { source } from "./sides.js";

const AT_ONCE = 20;
const NAMED_MAX = 8;

// Ask which rows and how, have them decided, and call `after` when the reader is done.
export function decideMany(rows, strategies, after) {
  const scopes = scopesOf(rows);
  const scope = el("select", { id: "many-scope" }, scopes.map(({ title }, index) => el("option", { value: index }, title)));
  const strategy = el(
    "select",
    { id: "many-strategy" },
    strategies.filter(({ name }) => name !== "ignore").map(({ name, title, what }) => el("option", { value: name }, `${title}: ${what}`)),
  );
  const preview = el("div", { class: "stack", "aria-live": "polite" });
  const act = el("button", { type: "button", class: "primary" });
  const close = el("button", { type: "button", on: { click: () => dialog.close() } }, "Cancel");
  const body = el(
    "div",
    { class: "stack" },
    el("div", { class: "field" }, el("label", { for: "many-scope" }, "Which conflicts"), scope),
    el("div", { class: "field" }, el("label", { for: "many-strategy" }, "How"), strategy),
    preview,
  );
  const dialog = el(
    "dialog",
    { "aria-labelledby": "many-title", on: { close: () => { dialog.remove(); after(); } } },
    el("div", { class: "stack" }, el("h2", { id: "many-title" }, "The same for many"), body, el("div", { class: "actions" }, close, act)),
  );
  const chosen = () => scopes[scope.value].rows;
  const look = () => {
    const named = chosen().slice(0, NAMED_MAX).map((row) => el("li", { class: "path" }, called(row)));
    const more = chosen().length - named.length;
    fill(
      preview,
      el("p", {}, `This concerns ${counted(chosen().length, "conflict")}:`),
      el("ul", { class: "listed soft" }, named, more > 0 && el("li", {}, `and ${count(more)} more`)),
    );
    act.textContent = `Decide ${counted(chosen().length, "conflict")}`;
    act.disabled = !chosen().length;
  };
  scope.addEventListener("change", look);
  act.addEventListener("click", async () => {
    act.hidden = true;
    close.textContent = "Stop";
    const report = await run(chosen().map((row) => row.id), strategy.value, body, () => dialog.open);
    close.textContent = "Close";
    fill(body, ...told(report));
  });
  look();
  document.body.append(dialog);
  dialog.showModal();
}

function scopesOf(rows) {
  const groups = (key, title) =>
    [...Map.groupBy(rows, (row) => row[key])]
      .sort(([, one], [, other]) => other.length - one.length)
      .map(([value, of]) => ({ title: `${title(value)} (${count(of.length)})`, rows: of }));
  const types = groups("type", (type) => (type ? `Of the type ${type}` : "Without a type"));
  const sources = groups("source", (name) => `Known ${source(name)}`);
  return [
    { title: `All conflicts (${count(rows.length)})`, rows },
    ...types,
    ...(sources.length > 1 ? sources : []),
  ];
}

async function run(ids, strategy, body, isWanted) {
  const report = { decided: 0, conflict: [], failed: [], left: 0 };
  const bar = el("progress", { max: ids.length, value: 0, "aria-label": "Decided" });
  const said = el("p", { role: "status" });
  fill(body, bar, said);
  for (let at = 0; at < ids.length; at += AT_ONCE) {
    said.textContent = `${count(at)} of ${count(ids.length)}`;
    bar.value = at;
    if (!isWanted()) {
      report.left = ids.length - at;
      break;
    }
    try {
      const some = await post("/api/migration/import_models", { id: ids.slice(at, at + AT_ONCE), conflict_strategy: strategy });
      report.decided += some.success.length + some.deleted.length;
      report.conflict.push(...some.conflict);
      report.failed.push(...some.failed);
    } catch (error) {
      report.left = ids.length - at;
      report.problem = error.message;
      break;
    }
  }
  return report;
}

function told({ decided, conflict, failed, left, problem }) {
  return [
    el("p", {}, `${counted(decided, "conflict")} decided.`),
    problem && el("p", { class: "problem" }, problem),
    left > 0 && el("p", {}, `${counted(left, "conflict")} left as they are.`),
    conflict.length > 0 && el("p", {}, `${counted(conflict.length, "row")} stayed in conflict.`),
    failed.length > 0 &&
      el("ul", { class: "listed" }, failed.map((row) => el("li", {}, `Row ${row.id}: ${row.error}`))),
  ];
}
