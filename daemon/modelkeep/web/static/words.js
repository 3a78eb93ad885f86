// What a record of the journal means, as a sentence without its subject: "hashed: 6.4 GB in 4.3 s".

import { count, counted, dateTime, size, span, speed } from "./format.js";

const HASH_DIGITS = 12;
const SAID_ELSEWHERE = new Set(["seq", "ts", "event", "crc", "path", "sha256", "migration", "error"]);
const FAILING = /\.(failed|conflicted|refuted)$|^(root\.unreachable|watch\.(limited|overflowed|repaired)|journal\.(damaged|records_lost|repaired))$/;

const BECAME = {
  created: "became a model",
  merged: "merged into its model",
  overridden: "replaced what its model said",
  deleted: "row dropped, its model stays as it was",
  ignored: "left in the queue",
  image_removed: "image removed",
  image_uploaded: "image added",
  purged: "model forgotten, with all that was known of it",
  edited: "edited",
  inherited: "took over what was known of the same weights under another header",
  tags_added: "tags made",
  tag_changed: "tag changed",
  tag_removed: "tag removed",
};

const ATTACHED = { claim: ", for its hash", owner: ", as the owner says", ambiguous: ", though others share its name" };

// What was done, by the action of a migration.
export const became = (action) => BECAME[action] ?? `done: ${action}`;

export const short = (sha256) => String(sha256 ?? "").slice(0, HASH_DIGITS);

export const isFailure = (record) => FAILING.test(record.event) || Boolean(record.error);

// Return what happened; an event without words of its own is shown with its fields.
export function sentence(record) {
  let text;
  try {
    text = SENTENCES[record.event]?.(record);
  } catch {
    // Fields of another version.
  }
  text ||= fields(record);
  const error = String(record.error ?? "");
  return [text, text.includes(error) ? "" : error].filter(Boolean).join(": ");
}

function fields(record) {
  return Object.entries(record)
    .filter(([key, value]) => !SAID_ELSEWHERE.has(key) && value !== "" && value !== null && typeof value !== "object")
    .map(([key, value]) => `${key.replaceAll("_", " ")} ${typeof value === "number" ? count(value) : value}`)
    .join(", ");
}

const list = (value) => (Array.isArray(value) ? value : []);
const row = (record, after = "") => (record.pending_id ? ` (row ${record.pending_id}${after})` : "");
const again = (record) => (record.retry_at ? `; tried again after ${dateTime(record.retry_at)}` : "");
const numbers = (record, keys) =>
  Object.entries(keys).flatMap(([key, what]) => (record[key] ? [`${count(record[key])} ${what}`] : [])).join(", ");
const imported = (record) =>
  record.source ? `imported from ${record.source}${record.source_row ? `, its row ${record.source_row}` : ""}: ` : "";

function detected(record) {
  if (record.cause === "import") {
    return imported(record) + (record.pending_id ? "waits to be hashed" : "known already") + row(record);
  }
  const how = { watch: "found as it appeared", scan: "found by a scan" }[record.cause] ?? `found: ${record.cause}`;
  return how + (record.sha256 ? "; its content is known" : "") + row(record);
}

function conflicted(record) {
  if (record.action === "ignored") {
    return `left in the queue by the strategy ignore${row(record)}`;
  }
  const differing = list(record.differing).join(", ");
  const what = differing ? `${differing} would be lost by merging` : "you decide about it";
  return `conflict: its content is in the catalogue, and ${what}${row(record, " waits for a decision")}`;
}

function migrated(record) {
  const named = [...list(record.changed), ...list(record.names)].join(", ");
  const number = "image" in record ? ` (number ${record.image})` : named && ` (${named})`;
  const moved = record.moved_down ? `; ${counted(record.moved_down, "later image")} moved down by one` : "";
  const kept = record.kept ? `; its image could not be used, the original is kept in ${record.kept}` : "";
  return imported(record) + became(record.action) + number + moved + kept;
}

const notHashed = (record) =>
  `not hashed${record.attempts ? ` (attempt ${count(record.attempts)})` : ""}: ${record.error || "no reason given"}${again(record)}`;

function hashed(record) {
  const pace = record.seconds > 0 ? `, ${speed(record.bytes / record.seconds)}` : "";
  return `hashed: ${size(record.bytes)} in ${span(record.seconds)}${pace}; sha256 ${short(record.sha256)}`;
}

function scanned(record) {
  const found = numbers(record, { appeared: "new", changed: "changed", missing: "gone", returned: "back", moved: "moved" });
  const unread = list(record.unreadable);
  return `scanned ${record.root}${record.cause ? ` (${record.cause})` : ""}: ${counted(record.scanned, "file")}, ${found || "nothing new"}${unread.length ? `; cannot be read: ${unread.join(", ")}` : ""}`;
}

function importFinished(record) {
  const counts = { migrated: "became models at once", pending: "wait to be hashed", updated: "updated", unchanged: "unchanged", errors: "refused" };
  const images = { images_processed: "images taken", image_errors: "images refused" };
  return `import from ${record.kind} finished: ${counted(record.rows, "row")}; ${numbers(record, { ...counts, ...images })}`;
}

function recognised(record) {
  const others = list(record.same_tensors_as).map(short).join(", ");
  const differing = list(record.differing).join(", ");
  return `the same weights as ${others} under another header${differing && `; both say something different of ${differing}`}`;
}

function sourceTaken(record) {
  const done = record.action === "updated" ? "says something else now" : "taken";
  return `${record.kind}: ${done}${record.orphan ? ", its model is not known" : ""}`;
}

function sourceAttached(record) {
  return `what ${record.kind} says in ${record.source} belongs to it${ATTACHED[record.how] ?? ""}`;
}

const SENTENCES = {
  "daemon.started": (r) => `modelkeep ${r.version} started: ${r.reason} (process ${r.pid})`,
  "daemon.stopped": (r) => `modelkeep stopped: ${r.reason} (process ${r.pid})`,
  "import.started": (r) => `import from ${r.kind} began: ${r.source}, ${counted(r.rows, "row")}`,
  "import.finished": importFinished,
  "import.failed": (r) => `import from ${r.kind} failed: ${r.error}`,
  "file.detected": detected,
  "file.settled": () => "complete, to be hashed",
  "file.moved": (r) => `${r.cause === "said by the owner" ? "found where you said" : "moved"}: ${r.old_path} is now ${r.path}`,
  "file.missing": (r) => `gone; what is known of it stays${r.cause ? ` (${r.cause})` : ""}`,
  "file.returned": () => "is back, with all that is known of it",
  "file.changed": (r) =>
    `no longer ${short(r.sha256)}${r.replaced_by ? `, now ${short(r.replaced_by)}` : ""}${r.cause ? `: ${r.cause}` : ""}`,
  "hash.finished": hashed,
  "hash.failed": notHashed,
  "claim.confirmed": (r) => `the older hash ${short(r.claimed)} is right`,
  "claim.refuted": (r) => `the older hash ${short(r.claimed)} is wrong: its content is ${short(r.found)}`,
  "model.recognised": recognised,
  "source.taken": sourceTaken,
  "source.attached": sourceAttached,
  "source.applied": (r) => `learnt from its sources: ${[...list(r.changed), ...list(r.tags).map((tag) => `tag ${tag}`)].join(", ")}`,
  "source.conflict": (r) =>
    `${r.source} has other words of yours for ${list(r.differing).join(", ")}: row ${r.pending_id} waits for you`,
  "source.withdrawn": (r) => `what ${r.kind} says in ${r.source} is about another file of its name`,
  "source.gone": (r) => `${r.kind}: its file is gone; what it said stays`,
  "source.dropped": (r) => `${r.kind}: dropped by the owner`,
  "source.refused": (r) => `not taken: ${r.error}`,
  "source.image_refused": (r) => `its image could not be used: ${r.error}`,
  "migration.planned": (r) => `planned: ${became(r.action)}`,
  "migration.committed": (r) => `in the catalogue: ${became(r.action)}`,
  "migration.finished": migrated,
  "migration.conflicted": conflicted,
  "migration.failed": (r) => `failed, nothing was changed: ${r.error || "no reason given"}${again(r)}`,
  "image.published": (r) => `${counted(list(r.files).length, "file")} of its images stored`,
  "recovery.rolled_forward": () => "completed after an interruption",
  "recovery.rolled_back": (r) => `undone after an interruption${row(r, " waits again")}`,
  "root.unreachable": (r) => `root ${r.root} is unreachable: ${r.cause}; what is known of its files stays`,
  "root.returned": (r) => `root ${r.root} is back`,
  "pending.dropped": (r) => `row ${r.pending_id} dropped by the owner`,
  "pending.offered": (r) => `row ${r.pending_id} may have its file again: ${r.offered}`,
  "rescan.finished": scanned,
  "sweep.finished": (r) =>
    `queue swept: ${numbers(r, { waiting: "waiting", conflict: "in conflict", failed: "failed", missing: "missing" }) || "empty"}`,
  "watch.overflowed": (r) => `the kernel dropped events of ${r.root}; it is scanned again`,
  "watch.limited": (r) => `only ${count(r.watched)} of ${count(r.folders)} folders of ${r.root} are watched`,
  "journal.repaired": (r) => `a torn last record was cut off: ${size(r.bytes_cut)} of ${r.segment}`,
  "journal.damaged": (r) => `${r.segment} is damaged at byte ${count(r.offset)}: ${r.reason}; skipped`,
  "trouble.began": (r) => `trouble with ${r.part}: ${r.error}`,
  "trouble.ended": (r) => `trouble with ${r.part} is over`,
  "doctor.repaired": (r) => `repaired by doctor: ${r.what ?? ""}`,
};
