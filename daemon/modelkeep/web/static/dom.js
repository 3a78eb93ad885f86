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
  children.flat(Infinity).filter((child) => child !== false && child !== null && child !== undefined);

// Put these children in the place of those that an element has.
export function fill(parent, ...children) {
  parent.replaceChildren(...flat(children));
  return parent;
}

// Return a link to a page of elsewhere if a text is an address of one, else the text.
export function outer(text) {
  const isAddress = /^https?:\/\//i.test(text) && URL.canParse(text);
  return isAddress ? el("a", { href: text, rel: "noreferrer noopener", target: "_blank" }, text) : text;
}

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
