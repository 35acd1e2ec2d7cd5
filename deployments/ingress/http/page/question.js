/**
 * Asks a question before something is lost for good.
 *
 * @module
 */

import { element } from "./dom.js";
import { strings } from "./strings.js";

/**
 * @param {string} question
 * @param {string} yes the button that does it
 * @returns {Promise<boolean>}
 */
export function confirm(question, yes) {
  const dialog = element(
    "dialog",
    { class: "question", "aria-labelledby": "question" },
    element("p", { id: "question" }, question),
    element(
      "div",
      { class: "actions" },
      element("button", { type: "button", autofocus: true, onclick: () => dialog.close() },
        strings.keep),
      element("button", { type: "button", class: "danger", onclick: () => dialog.close("yes") },
        yes),
    ),
  );
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes");
    });
  });
}
