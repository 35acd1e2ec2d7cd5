/**
 * Dialogs: shown over the page, and gone when they are closed.
 *
 * @module
 */

import { button, element } from "./dom.js";
import { strings } from "./later_strings.js";

/**
 * Show a dialog.
 * @param {HTMLDialogElement} dialog
 * @param {() => void} [closed] it was closed and is gone
 */
export function show(dialog, closed = () => {}) {
  dialog.addEventListener("close", () => {
    dialog.remove();
    closed();
  });
  document.body.append(dialog);
  dialog.showModal();
}

/**
 * The button in a dialog's corner that closes it.
 * @returns {HTMLElement}
 */
export function closing() {
  const cross = button("×", () => cross.closest("dialog").close(),
    { class: "close", "aria-label": strings.close });
  return cross;
}

/**
 * The dialog in which something is painted over a photo.
 * @param {string} kind its class
 * @param {string} title
 * @param {string} help
 * @param {HTMLElement} surface
 * @param {HTMLElement[]} tools
 * @param {HTMLElement} said
 * @param {...HTMLElement} actions
 * @returns {HTMLDialogElement}
 */
export function painter(kind, title, help, surface, tools, said, ...actions) {
  return /** @type {any} */ (element(
    "dialog",
    { class: `painter ${kind}`, "aria-labelledby": "painter-title" },
    element("h2", { id: "painter-title" }, title),
    element("p", { class: "hint" }, help),
    surface,
    element("div", { class: "tools" }, ...tools),
    said,
    element("div", { class: "actions" }, ...actions),
  ));
}
