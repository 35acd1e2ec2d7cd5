/**
 * The page's keys, beyond those that browsers give every page.
 *
 * Knows keys and which actions they start; not what the actions do.
 *
 * @module
 */

import { byId, element } from "./dom.js";
import { strings } from "./strings.js";

/**
 * @typedef {Object} Keys
 * @property {import("./composer.js").Composer} composer
 * @property {import("./conversation.js").Conversation} conversation
 * @property {(key: string) => void} act does what a letter stands for in the large view
 * @property {() => void} talks shows all conversations
 * @property {() => void} begin begins a new one
 * @property {() => void} clear asks whether to clear the history
 */

/** @param {Keys} keys */
export function bindKeys({ composer, conversation, act, talks, begin, clear }) {
  const list = byId("keyboard");
  list.querySelector("dl").append(
    ...strings.shortcuts.flatMap(([keys, action]) => [
      element("dt", {}, element("kbd", {}, keys)),
      element("dd", {}, action),
    ]),
  );
  /** @param {string} field */
  const toAdvanced = (field) => {
    byId("advanced").open = true;
    byId(field).focus();
  };
  /** By the key's place, so that a Mac's Option key, which types other letters, works as well. */
  const alternates = /** @type {Record<string, () => void>} */ ({
    KeyP: () => byId("photo").click(),
    KeyS: () => byId("samples").querySelector("[tabindex='0']").focus(),
    KeyI: () => {
      byId("idea-list").open = true;
      byId("ideas").querySelector("[tabindex='0']")?.focus();
    },
    KeyO: () => byId("model").focus(),
    KeyA: () => toAdvanced("seed"),
    KeyG: () => toAdvanced("guidance"),
    KeyN: () => toAdvanced("negative-prompt"),
    KeyK: () => composer.paintMask(),
    KeyR: () => conversation.retryLast(),
    KeyC: talks,
    KeyB: begin,
    KeyX: clear,
  });

  byId("prompt").addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
    // Enter that ends a word of an input method is not meant for the form.
    if (event.isComposing || event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      byId("composer").requestSubmit();
    } else if (event.key === "ArrowUp" && composer.idle) {
      if (conversation.focusLast()) event.preventDefault();
    } else if (event.key === "?" && composer.idle) {
      event.preventDefault();
      list.open = true;
      list.querySelector("summary").focus();
    }
  });

  byId("conversation").addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
    const target = /** @type {HTMLElement} */ (event.target);
    if (event.altKey || event.ctrlKey || event.metaKey || !target.matches(".result")) return;
    if (!["c", "s", "d", "l", "f"].includes(event.key.toLowerCase())) return;
    event.preventDefault();
    target.click();
    act(event.key);
  });

  addEventListener("keydown", (event) => {
    if (document.querySelector("dialog[open]")) return;
    if (event.key === "Escape" && !event.defaultPrevented) {
      if (list.open) list.open = false;
      else if (conversation.cancelLast()) event.preventDefault();
      composer.focus();
      return;
    }
    const act = alternates[event.code];
    if (!event.altKey || event.ctrlKey || event.metaKey || event.shiftKey || !act) return;
    event.preventDefault();
    act();
  });

  // A list that was opened by mistake closes at the next click elsewhere.
  addEventListener("click", (event) => {
    if (!list.contains(/** @type {Node} */ (event.target))) list.open = false;
  });
}
