// A grid of any number of tiles, of which only those near the window are there.

import { get } from "./api.js";
import { el, fill, svg } from "./dom.js";
import { called, size } from "./format.js";

const PAGE = 60;
const PAGES_KEPT = 40;
const SETTLE_MS = 90;

// `root` is the list element. `shown(total)` is called when the number of models is known.
export class Grid {
  #root;
  #parameters = {};
  #total = 0;
  #pages = new Map(); // by number: a list of models, or null while it is on its way
  #tiles = new Map(); // by index: the list item, its model and whether its image was asked for
  #asking = new AbortController();
  #shape = { columns: 1, width: 0, height: 1, gap: 0 };
  #drawn = 0;
  #settled = 0;

  constructor(root) {
    this.#root = root;
    addEventListener("scroll", () => this.#soon(), { passive: true });
    new ResizeObserver(() => this.#reshape()).observe(root);
    root.addEventListener("keydown", (event) => this.#walk(event));
    root.addEventListener("error", (event) => event.target.tagName === "IMG" && event.target.remove(), true);
  }

  // Return the first page of models: what `show` needs of them.
  ahead(parameters) {
    return get("/api/models/browse", { ...parameters, limit: PAGE, offset: 0 });
  }

  // Show other models, of which the first page came `ahead`; the reader begins at the top again.
  show(parameters, total, { models }) {
    this.#forget();
    this.#parameters = parameters;
    this.#total = total;
    this.#pages.set(0, models);
    this.#tiles.clear();
    fill(this.#root);
    this.#reshape();
    this.#settle();
  }

  // Look again at the same models, where the reader is.
  refresh(total) {
    this.#forget();
    this.#total = total;
    this.#reshape();
    this.#settle();
  }

  #forget() {
    this.#asking.abort();
    this.#asking = new AbortController();
    this.#pages.clear();
  }

  #reshape() {
    const rem = parseFloat(getComputedStyle(document.documentElement).fontSize);
    const gap = rem * (innerWidth < 30 * rem ? 0.625 : 1);
    const all = this.#root.clientWidth;
    const columns = Math.max(2, Math.floor((all + gap) / (10.5 * rem + gap)));
    const width = (all - gap * (columns - 1)) / columns;
    this.#shape = { columns, width, height: Math.round(width * 1.2 + 4 * rem), gap };
    const rows = Math.ceil(this.#total / columns);
    this.#root.style.height = `${Math.max(0, rows * (this.#shape.height + gap) - gap)}px`;
    for (const [index, tile] of this.#tiles) {
      this.#place(tile.item, index);
    }
    this.#draw();
  }

  #soon() {
    this.#drawn ||= requestAnimationFrame(() => this.#draw());
  }

  // The first index and the one after the last, so many screens around the window.
  #range(screens) {
    const { columns, height, gap } = this.#shape;
    const top = -this.#root.getBoundingClientRect().top;
    const first = Math.floor((top - screens * innerHeight) / (height + gap)) * columns;
    const end = Math.ceil((top + (1 + screens) * innerHeight) / (height + gap)) * columns;
    return [Math.max(0, first), Math.min(this.#total, Math.max(0, end))];
  }

  #draw() {
    this.#drawn = 0;
    const [first, end] = this.#range(0.5);
    for (const [index, { item }] of this.#tiles) {
      if ((index < first || index >= end) && !item.contains(document.activeElement)) {
        item.remove();
        this.#tiles.delete(index);
      }
    }
    // In their order: that is how a keyboard and a screen reader go through them.
    let next = this.#root.firstChild;
    for (let index = first; index < end; index += 1) {
      while (next && next.index < index) {
        next = next.nextSibling;
      }
      this.#drawTile(index, next);
    }
    // What is flown past is neither asked for nor shown.
    this.#settled ||= setTimeout(() => this.#settle(), SETTLE_MS);
  }

  #settle() {
    clearTimeout(this.#settled);
    this.#settled = 0;
    const [first, end] = this.#range(0.5);
    for (let page = Math.floor(first / PAGE); page * PAGE < end; page += 1) {
      if (!this.#pages.has(page)) {
        this.#ask(page);
      }
    }
    for (const [index, tile] of this.#tiles) {
      if (index >= first && index < end && tile.image && !tile.image.src) {
        tile.image.src = tile.image.dataset.address;
      }
    }
  }

  async #ask(page) {
    const { signal } = this.#asking;
    this.#pages.set(page, null);
    try {
      const asked = { ...this.#parameters, limit: PAGE, offset: page * PAGE };
      const { models } = await get("/api/models/browse", asked, { signal });
      this.#pages.delete(page); // the newest stands last
      this.#pages.set(page, models);
    } catch {
      if (!signal.aborted) {
        this.#pages.delete(page); // the banner says why; the next look asks again
      }
      return;
    }
    for (const oldest of [...this.#pages.keys()].slice(0, Math.max(0, this.#pages.size - PAGES_KEPT))) {
      this.#pages.delete(oldest);
    }
    this.#soon();
  }

  #modelAt(index) {
    return this.#pages.get(Math.floor(index / PAGE))?.[index % PAGE];
  }

  // Draw a tile; one that is not there yet comes before `next`.
  #drawTile(index, next) {
    const model = this.#modelAt(index);
    let tile = this.#tiles.get(index);
    if (!tile) {
      tile = { item: this.#newItem(index), model: null, image: null };
      this.#root.insertBefore(tile.item, next);
      this.#tiles.set(index, tile);
    }
    if (model && model !== tile.model) {
      this.#fillTile(tile, model);
    }
  }

  #fillTile(tile, model) {
    const isSame = JSON.stringify(model) === JSON.stringify(tile.model);
    tile.model = model;
    if (isSame) {
      return; // it was asked for again
    }
    const hadFocus = tile.item.contains(document.activeElement);
    const [link, image] = tileOf(model);
    tile.image = image;
    fill(tile.item, link);
    tile.item.removeAttribute("aria-busy");
    if (hadFocus) {
      link.focus();
    }
  }

  #newItem(index) {
    const item = el("li", { "aria-posinset": index + 1, "aria-setsize": this.#total, "aria-busy": "true", tabindex: -1 });
    item.index = index;
    this.#place(item, index);
    return item;
  }

  #place(item, index) {
    const { columns, width, height, gap } = this.#shape;
    const left = (index % columns) * (width + gap);
    item.style.transform = `translate(${left}px, ${Math.floor(index / columns) * (height + gap)}px)`;
    item.style.width = `${width}px`;
    item.style.height = `${height}px`;
  }

  // Arrow keys go from tile to tile, also to those that are not there yet.
  #walk(event) {
    const { columns, height, gap } = this.#shape;
    const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns };
    const at = event.target.closest("li")?.index;
    const step = steps[event.key];
    if (at === undefined || step === undefined || event.altKey || event.ctrlKey || event.metaKey) {
      return;
    }
    event.preventDefault();
    const to = at + step;
    if (to < 0 || to >= this.#total) {
      return;
    }
    const top = Math.floor(to / columns) * (height + gap) + this.#root.getBoundingClientRect().top;
    const bar = document.getElementById("wanted").offsetHeight + gap;
    if (top < bar || top + height > innerHeight) {
      scrollBy(0, top < bar ? top - bar : top + height + gap - innerHeight);
      this.#draw();
    }
    const { item } = this.#tiles.get(to);
    (item.firstChild ?? item).focus({ preventScroll: true });
  }
}

function tileOf(model) {
  const address = `/api/images/${model.sha256}_0.webp?quality=low`;
  const image = model.images_count > 0 ? el("img", { alt: "", decoding: "async", data: { address } }) : null;
  const link = el(
    "a",
    { class: "tile", href: `/model/${model.sha256}`, title: called(model) },
    el(
      "span",
      { class: "frame-of-image" },
      glyph(),
      image,
      model.images_count > 1 && el("span", { class: "many number", "aria-hidden": "true" }, model.images_count),
    ),
    el(
      "span",
      { class: "caption" },
      el("span", { class: "name", dir: "auto" }, called(model)),
      el("span", { class: "about" }, el("span", {}, model.type || "no type"), el("span", { class: "number" }, size(model.size_bytes))),
    ),
  );
  return [link, image];
}

// Stands where there is no image.
export const glyph = () =>
  svg(
    "svg",
    { viewBox: "0 0 24 24", class: "glyph", fill: "none", stroke: "currentColor", "stroke-width": 1.25, "stroke-linejoin": "round", "aria-hidden": "true" },
    svg("path", { d: "M12 3l8 4.5v9L12 21l-8-4.5v-9zM4 7.5l8 4.5 8-4.5M12 12v9" }),
  );
