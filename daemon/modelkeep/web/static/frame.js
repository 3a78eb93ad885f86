// What every view has around it: the daemon's state, how many conflicts wait, and whether the daemon is there.

import { get } from "./api.js";
import { el, fill } from "./dom.js";
import { onConnection, onRecord } from "./events.js";
import { count } from "./format.js";

const GATHER_MS = 500;
const banner = document.getElementById("banner");
const state = document.getElementById("state");
let asked = 0;

async function look() {
  asked = 0;
  try {
    show(await get("/api/status"));
  } catch {
    // The banner says that the daemon is gone.
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

onConnection((isThere) => {
  banner.hidden = isThere;
  fill(banner, isThere ? "" : "The daemon is gone. What you see may be old; this page goes on as soon as it is back.");
  if (isThere) {
    look();
  } else {
    fill(state, el("span", { class: "dot stopped" }), "gone");
  }
});

// A busy daemon writes many records a second; one look is enough for all of them.
onRecord(() => {
  asked ||= setTimeout(look, GATHER_MS);
});
