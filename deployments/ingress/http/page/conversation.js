/**
 * The conversation: all turns, oldest first, and the way among their results with the keyboard.
 *
 * @module
 */

import { byId, element } from "./dom.js";
import { strings } from "./strings.js";
import { TurnView } from "./turn.js";

/** The log of turns. */
export class Conversation {
  #page;
  #log = byId("conversation");
  /** @type {TurnView[]} */
  #views = [];

  /** @param {import("./turn.js").Page} page */
  constructor(page) {
    this.#page = page;
    this.#log.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => this.#move(event));
    addEventListener("resize", () => this.#views.forEach((view) => view.fit()));
  }

  /**
   * Show what an earlier visit left.
   * @param {boolean} kept whether this browser keeps a history
   */
  restore(kept) {
    for (const turn of this.#page.history.turns()) {
      // Of before turns were jobs: nobody knows what became of it.
      if (turn.status === "running" && turn.sent === undefined) turn.status = "interrupted";
      this.#add(turn).takeUp();
    }
    if (!kept) this.#log.append(element("p", { class: "hint" }, strings.historyLost));
    this.#scroll("instant");
  }

  /**
   * Run a new turn.
   * @param {import("./history.js").Turn} turn
   * @param {Promise<string | null>} [cutting] as of `TurnView.run`
   */
  async begin(turn, cutting) {
    const running = this.#add(turn).run(cutting);
    this.#scroll("smooth");
    await running;
    // Whoever has scrolled up meanwhile is left there.
    const { scrollHeight } = document.documentElement;
    if (scrollHeight - scrollY - innerHeight < innerHeight / 2) this.#scroll("smooth");
  }

  /** Cancel the newest turn that runs. */
  cancelLast() {
    const running = this.#views.findLast((view) => view.running);
    running?.cancel();
    return running !== undefined;
  }

  /** Run the last turn again, if it did not finish. */
  retryLast() {
    const last = this.#views.at(-1);
    if (last && !last.running && last.turn.status !== "finished") last.run();
  }

  /** Focus the last result. */
  focusLast() {
    const last = this.#results().at(-1);
    last?.focus();
    return last !== undefined;
  }

  clear() {
    for (const view of this.#views) view.forget();
    this.#views = [];
    this.#showWelcome();
  }

  /** @param {import("./history.js").Turn} turn */
  #add(turn) {
    const view = new TurnView(turn, this.#page);
    this.#views.push(view);
    this.#log.append(view.article);
    this.#showWelcome();
    view.fit();
    return view;
  }

  #showWelcome() {
    byId("welcome").hidden = this.#views.length > 0;
  }

  /** @param {"smooth" | "instant"} behavior */
  #scroll(behavior) {
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    const top = document.documentElement.scrollHeight;
    scrollTo({ top, behavior: still ? "instant" : behavior });
  }

  /** @returns {HTMLElement[]} */
  #results() {
    return [...this.#log.querySelectorAll(".result")];
  }

  /** @param {KeyboardEvent} event */
  #move(event) {
    const here = /** @type {HTMLElement} */ (event.target);
    const results = this.#results();
    const place = results.indexOf(here);
    if (place < 0) return;
    const next = {
      ArrowLeft: () => results[place - 1],
      ArrowRight: () => results[place + 1],
      ArrowUp: () => beside(results.slice(0, place).reverse(), here),
      ArrowDown: () => beside(results.slice(place + 1), here) ?? byId("prompt"),
      Home: () => results[0],
      End: () => results.at(-1),
    }[event.key];
    if (!next) return;
    event.preventDefault();
    next()?.focus();
  }
}

/**
 * The element of the nearest other row that lies closest to one's column.
 * @param {HTMLElement[]} others the nearest first
 * @param {HTMLElement} here
 */
function beside(others, here) {
  const { left, top } = here.getBoundingClientRect();
  const boxes = others.map((other) => ({ other, box: other.getBoundingClientRect() }));
  const row = boxes.find(({ box }) => Math.abs(box.top - top) > 4)?.box.top;
  const inRow = boxes.filter(({ box }) => row !== undefined && Math.abs(box.top - row) <= 4);
  inRow.sort((one, two) => Math.abs(one.box.left - left) - Math.abs(two.box.left - left));
  return inRow[0]?.other;
}
