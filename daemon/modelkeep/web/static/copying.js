// Put texts on the clipboard.

import { carryOut, el, say, svg } from "./dom.js";

// Return a small button that copies what `text()` returns; `what` says what that is.
export function copyButton(what, text) {
  const button = el(
    "button",
    { type: "button", class: "plain icon", "aria-label": `Copy ${what}`, title: `Copy ${what}` },
    svg(
      "svg",
      { viewBox: "0 0 24 24", fill: "none", stroke: "currentColor", "stroke-width": 1.75, "aria-hidden": "true" },
      svg("rect", { x: 9, y: 9, width: 11, height: 11, rx: 2 }),
      svg("path", { d: "M15 5.5V6a2 2 0 0 0-2-2H6a2 2 0 0 0-2 2v7a2 2 0 0 0 2 2h.5" }),
    ),
  );
  button.addEventListener("click", () =>
    carryOut(button, async () => {
      await copy(text());
      say(`Copied ${what}.`);
      button.focus();
    }),
  );
  return button;
}

async function copy(text) {
  if (navigator.clipboard) {
    await navigator.clipboard.writeText(text);
    return;
  }
  // A page that came by HTTP from another machine has no clipboard, but may copy what is selected.
  const area = el("textarea", { class: "unseen", "aria-hidden": "true" });
  area.value = text;
  document.body.append(area);
  area.select();
  const isCopied = document.execCommand("copy");
  area.remove();
  if (!isCopied) {
    throw new Error("The browser does not let this page copy; select the text instead.");
  }
}
