// The rows in conflict, in the order of the queue: fetched piece by piece, kept up to date as others decide.

import { get } from "./api.js";

const PIECE = 500;

export class Conflicts {
  constructor() {
    this.rows = [];
    this.index = 0;
  }

  get current() {
    return this.rows[this.index];
  }

  // Fetch all; `shown` is called as soon as there are some. Stays at the row that is current, or goes to `id`.
  async fetch(id, shown) {
    const stays = id ?? this.current?.id;
    const fetched = [];
    for (;;) {
      const { pending } = await get("/api/pending", { state: "conflict", limit: PIECE, offset: fetched.length });
      fetched.push(...pending.map(({ id: number, name, path, type, source }) => ({ id: number, name, path, type, source })));
      this.rows = fetched;
      this.index = Math.max(0, fetched.findIndex((row) => row.id === stays));
      shown(pending.length < PIECE);
      if (pending.length < PIECE) {
        return;
      }
    }
  }

  step(by) {
    this.index = Math.min(Math.max(0, this.index + by), Math.max(0, this.rows.length - 1));
  }

  // Take a row away; the next one comes into its place.
  drop(id) {
    const at = this.rows.findIndex((row) => row.id === id);
    if (at >= 0) {
      this.rows.splice(at, 1);
      this.index -= at < this.index ? 1 : 0;
      this.step(0);
    }
  }
}
