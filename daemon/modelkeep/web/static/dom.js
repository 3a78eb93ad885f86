// Elements made of text only: no text of a file name or a database can become markup.

// Return an element. Attributes: `on` has listeners by event, `data` a dataset, `class` may be a list; true is an
// attribute without a value, false, null and undefined are none. Children are elements or texts, or lists of them.
export function el(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

const SVG = "http://www.w3.org/2000/svg";

export function svg(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

function filled(made, { on = {}, data = {}, ...attributes }, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== false && value !== null && value !== undefined) {
      const text = Array.isArray(value) ? value.filter(Boolean).join(" ") : value;
      made.setAttribute(name, text === true ? "" : text);
    }
  }
  Object.assign(made.dataset, data);
  for (const [event, listener] of Object.entries(on)) {
    made.addEventListener(event, listener);
  }
  made.append(...flat(children));
  return made;
}

const flat = (children) =>
  children
    .flat(Infinity)
    .filter((child) => child !== false && child !== null && child !== undefined)
    .map((child) => (child instanceof Node ? child : visible(String(child))));

// What a file is called may hold characters that turn the text after them around, or that no one sees.
const UNSEEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b\u202a-\u202e\u2066-\u2069\ufeff]/g;

// Return a text with those characters spelled out.
export const visible = (text) =>
  text.replace(UNSEEN, (character) => `\\u${character.codePointAt(0).toString(16).padStart(4, "0")}`);

// Put these children in the place of those that an element has.
export function fill(parent, ...children) {
  parent.replaceChildren(...flat(children));
  return parent;
}

// Return a text in which addresses of pages of elsewhere are links, as children of an element.
export const outer = (text) => text.split(/(\s+)/).map((word) => (isAddress(word) ? link(word) : word));

const isAddress = (word) => /^https?:\/\//i.test(word) && URL.canParse(word);
const link = (address) => el("a", { href: address, rel: "noreferrer noopener", target: "_blank" }, address);

// Say a sentence to who reads by eye or by ear; a problem stays longer.
export function say(sentence, { isProblem = false } = {}) {
  const note = el("p", { class: ["note", isProblem && "problem"] }, sentence);
  document.getElementById("news").append(note);
  setTimeout(() => note.remove(), isProblem ? 12000 : 6000);
}

// Carry out what a button asks for: it cannot be pressed twice meanwhile, and a failure is said. Returns nothing then.
export async function carryOut(button, act) {
  button?.setAttribute("aria-busy", "true");
  button?.toggleAttribute("disabled", true);
  try {
    return await act();
  } catch (error) {
    if (error.name !== "AbortError") {
      say(error.message, { isProblem: true });
    }
    return undefined;
  } finally {
    button?.removeAttribute("aria-busy");
    button?.toggleAttribute("disabled", false);
  }
}

// Return an element for a place with nothing to show: what that means, and what to do.
export const empty = (title, ...what) =>
  el("div", { class: "empty" }, el("p", { class: "title" }, title), what.length > 0 && el("p", {}, what));

// Ask before something that cannot be undone; resolves to whether the reader wants it. `act` names the button.
export function confirmed({ title, sentences, act }) {
  return new Promise((resolve) => {
    const dialog = el(
      "dialog",
      { "aria-labelledby": "confirm-title", on: { close: () => { dialog.remove(); resolve(dialog.returnValue === "yes"); } } },
      el(
        "form",
        { method: "dialog" },
        el("h2", { id: "confirm-title" }, title),
        sentences.map((sentence) => el("p", {}, sentence)),
        el(
          "div",
          { class: "actions" },
          el("button", { value: "no", autofocus: true }, "Cancel"),
          el("button", { value: "yes", class: "danger" }, act),
        ),
      ),
    );
    document.body.append(dialog);
    dialog.showModal();
  });
}
