// What every view has around it: the daemon's state, how many conflicts wait, and whether the daemon is there.

import { get } from "./api.js";
import { el, fill } from "./dom.js";
import { onConnection, onRecords } from "./events.js";
import { count } from "./format.js";

const GONE = "The daemon is gone. What you see may be old; this page goes on as soon as it is back.";
const SILENT = "The daemon tells no news to this page, for too many listen. What you see may be old; it is asked again.";
const banner = document.getElementById("banner");
const state = document.getElementById("state");
let isConnected = false;

// Return whether the daemon answers.
async function look() {
  try {
    show(await get("/api/status"));
    return true;
  } catch {
    return false;
  }
}

function show(status) {
  fill(state, el("span", { class: ["dot", status.troubles ? "trouble" : status.state] }), status.troubles ? "trouble" : status.state);
  const { conflict, failed, missing } = status.pending;
  badge("decide", conflict, "to decide");
  badge("queue", failed + missing, "failed or missing");
}

function badge(view, number, what) {
  const place = document.querySelector(`[data-count="${view}"]`);
  place.hidden = number === 0;
  fill(place, el("span", { "aria-hidden": "true" }, count(number)), el("span", { class: "unseen" }, ` (${count(number)} ${what})`));
}

onConnection(async (isThere) => {
  isConnected = isThere;
  if (!isThere && banner.hidden) {
    fill(banner, GONE);
  }
  banner.hidden = isThere;
  const answers = await look();
  if (!isConnected && !isThere) {
    fill(banner, answers ? SILENT : GONE);
    answers || fill(state, el("span", { class: "dot stopped" }), "gone");
  }
});
onRecords(look);
