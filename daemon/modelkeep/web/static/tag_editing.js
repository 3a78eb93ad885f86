// The tags of a model as a list of names that is added to and taken from.

import { el, fill } from "./dom.js";

// Return a control for names of tags; `list` is the id of a list of those that there are.
export function tagControl(list) {
  return (names) => {
    let chosen = [...names];
    const input = el("input", { type: "text", "aria-label": "Add a tag", placeholder: "Add a tag, Enter after each", list, dir: "auto", maxlength: 200, autocomplete: "off" });
    const marks = el("ul", { class: "tags" });
    const draw = () => fill(marks, chosen.map((name) => el("li", {}, mark(name))));
    const mark = (name) =>
      el("button", { type: "button", class: "tag", "aria-label": `Take away ${name}`, on: { click: () => takeAway(name) } }, el("span", { dir: "auto" }, name), el("span", { "aria-hidden": "true" }, "×"));
    const takeAway = (name) => {
      chosen = chosen.filter((other) => other !== name);
      draw();
      input.focus();
    };
    const take = () => {
      const name = input.value.trim();
      if (name && !chosen.includes(name)) {
        chosen = [...chosen, name];
        draw();
      }
      input.value = "";
    };
    input.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !event.ctrlKey && !event.metaKey && input.value.trim()) {
        event.preventDefault();
        take();
      } else if (event.key === "Backspace" && !input.value && chosen.length) {
        takeAway(chosen.at(-1));
      }
    });
    draw();
    return {
      element: el("div", { class: "stack" }, marks, input),
      value: () => {
        take();
        return [...chosen].sort();
      },
    };
  };
}
