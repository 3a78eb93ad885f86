// A text that is edited where it stands. Nobody overwrites what he has not seen: a change is sent with the version that
// was there when the editing began, and where somebody else was faster both texts are shown.

import { ApiError } from "./api.js";
import { carryOut, el, fill, say } from "./dom.js";

// Args: `label` names the text; `show(value)` returns what is shown of it; `control(value)` returns {element, value()};
// `current()` returns {value, etag}; `save(value, etag)` sends it; `latest()` asks for {value, etag} as they are there
// now; `extra` is shown beside the label. Values are compared as JSON.
export class Editable {
  element = el("div", { class: "editable" });
  isEditing = false;
  #how;
  #begun = null;

  constructor(how) {
    this.#how = how;
    this.refresh();
  }

  // Show the value as it is now, unless somebody is writing.
  refresh() {
    if (this.isEditing) {
      return;
    }
    const { label, show, heading = "h2", extra } = this.#how;
    const edit = el("button", { type: "button", class: "plain small", "aria-label": `Edit ${label.toLowerCase()}`, on: { click: () => this.#begin() } }, "Edit");
    fill(this.element, el("div", { class: "row" }, el(heading, { class: "label" }, label), el("span", { class: "end row" }, extra?.(), edit)), show(this.#how.current().value));
  }

  #begin() {
    this.#begun = this.#how.current();
    this.isEditing = true;
    const control = this.#how.control(this.#begun.value);
    const save = el("button", { type: "submit", class: "primary" }, "Save");
    const cancel = el("button", { type: "button", on: { click: () => this.#end() } }, "Cancel");
    const clash = el("div", { role: "alert" });
    const form = el(
      "form",
      {
        class: "editor",
        on: {
          submit: (event) => {
            event.preventDefault();
            this.#save(save, control.value(), clash);
          },
          keydown: (event) => {
            if (event.key === "Escape") {
              this.#end();
            } else if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
              form.requestSubmit();
            }
          },
        },
      },
      control.element,
      clash,
      el("div", { class: "actions" }, cancel, save),
    );
    fill(this.element, el(this.#how.heading ?? "h2", { class: "label" }, this.#how.label), form);
    form.querySelector("input, textarea").focus();
  }

  #end() {
    this.isEditing = false;
    this.refresh();
    this.element.querySelector("button[aria-label^=Edit]")?.focus();
  }

  async #save(button, value, clash) {
    const isDone = await carryOut(button, () => this.#send(value, clash));
    if (isDone) {
      this.#end();
      say(`Saved ${this.#how.label.toLowerCase()}.`);
    } else if (isDone === false) {
      fill(button, "Save mine");
    }
  }

  // Return whether it is saved; else both texts are shown.
  async #send(value, clash) {
    try {
      await this.#how.save(value, this.#begun.etag);
      return true;
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 412) {
        throw error;
      }
    }
    const now = await this.#how.latest();
    const isOther = !same(now.value, this.#begun.value) && !same(now.value, value);
    this.#begun = now;
    if (!isOther) {
      return this.#send(value, clash); // what changed meanwhile is something else, which this does not touch
    }
    this.#showClash(now.value, clash);
    return false;
  }

  #showClash(theirs, clash) {
    const take = el("button", { type: "button", on: { click: () => this.#end() } }, "Keep what is there");
    fill(
      clash,
      el(
        "div",
        { class: "notice stack" },
        el("p", {}, el("strong", {}, "Somebody changed this meanwhile."), " Nothing is overwritten, and what you wrote is still here. There is now:"),
        el("div", { class: "theirs" }, this.#how.show(theirs)),
        
        el("div", { class: "row" }, take, el("span", {}, "or replace it with what you wrote: Save mine.")),
      ),
    );
  }
}

const same = (one, other) => JSON.stringify(one) === JSON.stringify(other);

// Return a control for one line of text.
export function line(label, { list } = {}) {
  return (value) => {
    const input = el("input", { type: "text", "aria-label": label, list, dir: "auto", maxlength: 4096 });
    input.value = value;
    return { element: input, value: () => input.value.trim() };
  };
}

// Return a control for text of many lines.
export function lines(label) {
  return (value) => {
    const area = el("textarea", { "aria-label": label, dir: "auto", rows: Math.min(16, Math.max(4, value.split("\n").length + 1)) });
    area.value = value;
    return { element: area, value: () => area.value };
  };
}
