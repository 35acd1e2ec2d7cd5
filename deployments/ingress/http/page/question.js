/**
 * Asks a question before something is lost for good.
 *
 * @module
 */

import { show } from "./dialogs.js";
import { button, element } from "./dom.js";
import { strings } from "./later_strings.js";

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
      button(strings.keep, () => dialog.close(), { autofocus: true }),
      button(yes, () => dialog.close("yes"), { class: "danger" }),
    ),
  );
  return new Promise((resolve) => show(dialog, () => resolve(dialog.returnValue === "yes")));
}
