// The images of a model: one large, all small; they can be gone through, added by drop, paste or button, and removed.

import { call, remove } from "./api.js";
import { carryOut, confirmed, el, empty, fill, say } from "./dom.js";
import { count, counted } from "./format.js";
import { glyph } from "./grid.js";

const TYPES = "image/*,.webp,.png,.jpg,.jpeg,.gif,.bmp,.tif,.tiff,.avif";

export class Gallery {
  #root;
  #sha256;
  #changed;
  #images = [];
  #at = 0;
  #name = "";
  #chooser = el("input", { type: "file", accept: TYPES, multiple: true, hidden: true, on: { change: () => this.#chosen() } });
  #add = el("button", { type: "button", on: { click: () => this.#chooser.click() } }, "Add images");
  #stage = el("div", { class: "stage" });
  #strip = el("ul", { class: "strip" });
  #bar = el("div", { class: "row" });

  // `changed()` is called when images came or went; it resolves when what is there now is shown.
  constructor(root, sha256, changed) {
    this.#root = root;
    this.#sha256 = sha256;
    this.#changed = changed;
    const hint = el("p", { class: "soft small" }, "Drop images anywhere on this page, or paste one.");
    fill(root, this.#stage, this.#bar, this.#strip, el("div", { class: "row" }, this.#add, hint), this.#chooser);
    root.addEventListener("keydown", (event) => this.#key(event));
    this.#takeDrops();
    addEventListener("paste", (event) => {
      if (event.clipboardData.files.length) {
        this.#upload([...event.clipboardData.files]);
      }
    });
  }

  // Show these images, each {seq, width, height, source_digest}; the reader stays at the one that is shown.
  show(images, name) {
    const digest = this.#images[this.#at]?.source_digest;
    this.#images = images;
    this.#name = name;
    const again = images.findIndex((image) => image.source_digest === digest);
    this.#at = again >= 0 ? again : Math.max(0, Math.min(this.#at, images.length - 1));
    this.#draw();
  }

  // The digest is there so that a browser takes no other image that had the number before for this one.
  #address(image, quality) {
    return `/api/images/${this.#sha256}_${image.seq}.webp?quality=${quality}&rev=${image.source_digest.slice(0, 16)}`;
  }

  #go(to) {
    this.#at = (to + this.#images.length) % this.#images.length;
    this.#draw();
  }

  #draw() {
    const image = this.#images[this.#at];
    if (!image) {
      fill(this.#stage, el("div", { class: "no-image" }, glyph(), empty("No image yet.")));
      fill(this.#bar);
      fill(this.#strip);
      return;
    }
    const position = `Image ${count(this.#at + 1)} of ${count(this.#images.length)}`;
    const large = el("img", { src: this.#address(image, "high"), alt: `${position} of ${this.#name}`, width: image.width, height: image.height });
    const link = el("a", { href: large.getAttribute("src"), target: "_blank", rel: "noopener", title: "Open the image alone" }, large);
    const isAlone = this.#images.length === 1;
    const has = this.#root.contains(document.activeElement) && document.activeElement.dataset.key;
    fill(this.#stage, link, !isAlone && [this.#step("previous", -1, "‹"), this.#step("next", 1, "›")]);
    const removal = el("button", { type: "button", class: "plain end", data: { key: "remove" }, on: { click: () => this.#remove(removal, image) } }, "Remove this image");
    fill(this.#bar, el("p", { class: "soft small number", role: "status" }, position, `, ${count(image.width)} × ${count(image.height)}`), removal);
    fill(this.#strip, !isAlone && this.#images.map((one, index) => this.#small(one, index)));
    [...this.#root.querySelectorAll("button")].find((button) => has && button.dataset.key === has)?.focus();
  }

  #step(what, by, sign) {
    const go = () => this.#go(this.#at + by);
    return el("button", { type: "button", class: ["step", what], "aria-label": `${what} image`, data: { key: what }, on: { click: go } }, sign);
  }

  #small(image, index) {
    const small = el("img", { src: this.#address(image, "low"), alt: "", loading: "lazy", decoding: "async" });
    const attributes = { type: "button", class: "small-image", "aria-label": `Image ${index + 1}`, "aria-current": index === this.#at && "true", data: { key: `small ${index}` } };
    return el("li", {}, el("button", { ...attributes, on: { click: () => this.#go(index) } }, small));
  }

  #key(event) {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (by && this.#images.length > 1 && !event.altKey && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      this.#go(this.#at + by);
    }
  }

  async #remove(button, image) {
    const isWanted = await confirmed({
      title: "Remove this image?",
      sentences: ["It is gone from the library for good; images after it move up by one. No file of a model is touched."],
      act: "Remove the image",
    });
    if (isWanted) {
      await carryOut(button, async () => {
        const { count: left } = await remove("/api/images/delete", { sha256: this.#sha256, seq: image.seq });
        say(`Removed the image; ${counted(left, "image is", "images are")} left.`);
      });
      await this.#changed();
    }
  }

  #chosen() {
    this.#upload([...this.#chooser.files]);
    this.#chooser.value = "";
  }

  async #upload(files) {
    const before = this.#images.length;
    await carryOut(this.#add, async () => {
      for (const [index, file] of files.entries()) {
        fill(this.#add, files.length > 1 ? `Adding ${index + 1} of ${files.length}` : "Adding");
        await this.#uploadOne(file);
      }
    });
    fill(this.#add, "Add images");
    await this.#changed();
    if (this.#images.length > before) {
      this.#go(this.#images.length - 1);
    }
  }

  async #uploadOne(file) {
    const form = new FormData();
    form.append("sha256", this.#sha256);
    form.append("image", file, file.name || "image");
    try {
      const known = this.#images.length;
      const { data } = await call("POST", "/api/images/upload", { form });
      const isKnown = Number(data.base_name.split("_")[1]) < known;
      say(isKnown ? `${file.name} is among the images already.` : `Added ${file.name}.`);
    } catch (error) {
      say(`${file.name}: ${error.message}`, { isProblem: true });
    }
  }

  #takeDrops() {
    let depth = 0;
    const shows = (by, event) => {
      if (event.dataTransfer.types.includes("Files")) {
        event.preventDefault();
        depth = Math.max(0, depth + by);
        document.body.classList.toggle("drops", depth > 0);
      }
    };
    addEventListener("dragenter", (event) => shows(1, event));
    addEventListener("dragleave", (event) => shows(-1, event));
    addEventListener("dragover", (event) => shows(0, event));
    addEventListener("drop", (event) => {
      shows(-depth, event);
      const files = [...event.dataTransfer.files];
      if (files.length) {
        this.#upload(files);
      }
    });
  }
}
