// The rows in conflict, in the order of the queue: fetched piece by piece, kept up to date as others decide.

import { get } from "./api.js";

const PIECE = 500;

export class Conflicts {
  #dropped = new Set();
  #isFetching = false;
  #isStale = false;

  constructor() {
    this.rows = [];
    this.index = 0;
  }

  get current() {
    return this.rows[this.index];
  }

  // Fetch all, and all again when that is asked for meanwhile; `shown` is called when there is news to show. Stays at
  // the row that is current, or goes to `id`.
  async fetch(id, shown) {
    this.#isStale = true;
    if (this.#isFetching) {
      return;
    }
    this.#isFetching = true;
    try {
      for (let wanted = id; this.#isStale; wanted = undefined) {
        this.#isStale = false;
        await this.#fetchOnce(wanted ?? this.current?.id, shown);
      }
    } finally {
      this.#isFetching = false;
    }
  }

  async #fetchOnce(stays, shown) {
    this.#dropped.clear();
    const fetched = [];
    for (let offset = 0, isWhole = false; !isWhole; offset += PIECE) {
      const { pending } = await get("/api/pending", { state: "conflict", limit: PIECE, offset });
      isWhole = pending.length < PIECE;
      fetched.push(...pending.map(({ id, name, path, type, source }) => ({ id, name, path, type, source })));
      const known = fetched.filter((row) => !this.#dropped.has(row.id));
      const at = known.findIndex((row) => row.id === stays);
      // Nobody is taken away from a row that only has not been fetched yet.
      if (at >= 0 || stays === undefined || isWhole) {
        this.rows = known;
        this.index = at >= 0 ? at : this.index;
        this.step(0);
        shown();
      }
    }
  }

  step(by) {
    this.index = Math.min(Math.max(0, this.index + by), Math.max(0, this.rows.length - 1));
  }

  // Take a row away; the next one comes into its place.
  drop(id) {
    this.#dropped.add(id);
    const at = this.rows.findIndex((row) => row.id === id);
    if (at >= 0) {
      this.rows.splice(at, 1);
      this.index -= at < this.index ? 1 : 0;
      this.step(0);
    }
  }
}
