/**
 * Tells of something that was done, and for a while offers a button: that takes it back, mostly.
 *
 * @module
 */

import { byId } from "./dom.js";
import { strings } from "./strings.js";

/** Long enough to be reached without a mouse. */
const LASTS_MS = 20_000;

/** What becomes final with the next removal, or when the time is over. */
let last = { timer: 0, settle: () => {} };

/**
 * @param {string} text what was removed
 * @param {() => void} back takes it back
 * @param {() => void} [gone] makes it final
 */
export function offerUndo(text, back, gone) {
  offer(text, strings.undo, back, gone);
}

/**
 * @param {string} text what was done
 * @param {string} label of the button
 * @param {() => void} back what the button does
 * @param {() => void} [gone] the time for it is over
 */
export function offer(text, label, back, gone = () => {}) {
  const bar = byId("undo");
  clearTimeout(last.timer);
  last.settle();
  const end = (/** @type {() => void} */ act) => {
    clearTimeout(last.timer);
    last = { timer: 0, settle: () => {} };
    bar.hidden = true;
    act();
  };
  bar.querySelector("span").textContent = text;
  const button = bar.querySelector("button");
  button.textContent = label;
  button.onclick = () => end(back);
  bar.hidden = false;
  last = { timer: Number(setTimeout(() => end(gone), LASTS_MS)), settle: gone };
}
