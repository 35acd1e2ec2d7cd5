/**
 * The conversation: all turns, oldest first, and the way among their results with the keyboard.
 *
 * @module
 */

import { byId } from "./dom.js";

/** @typedef {import("./turn.js").TurnView} TurnView */

/** The log of turns of the conversation that is shown; those of others go on unseen. */
export class Conversation {
  #page;
  #log = byId("conversation");
  /** @type {Map<string, TurnView[]>} */
  #talks = new Map();
  #shown = "";
  /** @type {typeof import("./turn.js").TurnView | null} */
  #made = null;

  /** @param {import("./turn.js").Page} page */
  constructor(page) {
    this.#page = page;
    this.#log.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => this.#move(event));
    addEventListener("resize", () => this.#fit());
  }

  /** Go on with what earlier visits left unfinished, in all conversations. */
  async takeUp() {
    const { history } = this.#page;
    if (!history.turns().length || !(await this.load())) return;
    for (const turn of history.turns()) {
      // Of before turns were jobs: nobody knows what became of it.
      if (turn.status === "running" && turn.sent === undefined) turn.status = "interrupted";
      if (turn.status === "running" || turn.cancelling) this.#viewsOf(turn.conversation);
    }
  }

  /**
   * Load what turns are shown and made with.
   * @returns {Promise<boolean>} false where the service cannot be reached
   */
  async load() {
    this.#made ??= await import("./turn.js").then(({ TurnView }) => TurnView, () => null);
    return this.#made !== null;
  }

  /**
   * Show a conversation; `load` comes first.
   * @param {string} talk
   */
  show(talk) {
    this.#shown = talk;
    this.#log.replaceChildren(...this.#viewsOf(talk).map(({ article }) => article));
    this.#fit();
    this.#showWelcome();
    if (this.#views.length) this.#scroll("instant");
    else scrollTo(0, 0);
  }

  /**
   * Run a new turn; `load` comes first.
   * @param {import("./history.js").Turn} turn
   * @param {Promise<string | null>} [cutting] as of `TurnView.run`
   */
  async begin(turn, cutting) {
    const views = this.#viewsOf(turn.conversation);
    const view = this.#view(turn);
    views.push(view);
    const running = view.run(cutting);
    if (turn.conversation !== this.#shown) return;
    this.#log.append(view.article);
    this.#showWelcome();
    view.fit();
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

  /**
   * Open a result of the conversation that is shown.
   * @param {import("./history.js").Turn} turn
   * @param {number} index
   */
  open(turn, index) {
    const view = this.#views.find((view) => view.turn.id === turn.id);
    if (view) this.#page.open(view, index);
  }

  /**
   * Put the focus on an image, if it is in the conversation that is shown.
   * @param {string} url
   */
  reveal(url) {
    for (const view of this.#views) {
      const index = view.turn.results.findIndex((result) => result?.url === url);
      if (index >= 0) view.focus(index);
    }
  }

  /**
   * Remove a turn.
   * @param {TurnView} view
   * @returns {() => void} takes it back
   */
  remove(view) {
    const views = this.#viewsOf(view.turn.conversation);
    const place = views.indexOf(view);
    const { nextSibling } = view.article;
    views.splice(place, 1);
    view.article.remove();
    view.kept = false;
    this.#page.history.remove(view.turn.id);
    this.#showWelcome();
    return () => {
      views.splice(place, 0, view);
      view.kept = true;
      this.#page.history.save(view.turn);
      const shown = view.turn.conversation === this.#shown;
      if (shown) this.#log.insertBefore(view.article, nextSibling?.isConnected ? nextSibling : null);
      this.#showWelcome();
    };
  }

  /**
   * Remove a conversation with its turns.
   * @param {string} id
   * @returns {{back: () => void, gone: () => void}} takes it back; ends what still runs in it
   */
  removeTalk(id) {
    const { history } = this.#page;
    const talk = history.talk(id);
    const views = this.#viewsOf(id);
    for (const view of views) view.kept = false;
    history.removeTalk(id);
    return {
      back: () => {
        history.saveTalk(talk);
        for (const view of views) {
          view.kept = true;
          history.save(view.turn);
        }
      },
      gone: () => {
        for (const view of views) view.cancel();
        this.#talks.delete(id);
      },
    };
  }

  /** Forget all turns of all conversations. */
  clear() {
    for (const view of [...this.#talks.values()].flat()) {
      view.kept = false;
      view.cancel();
    }
    this.#talks.clear();
    this.#log.replaceChildren();
    this.#showWelcome();
  }

  get #views() {
    return this.#talks.get(this.#shown) ?? [];
  }

  /**
   * The turns of a conversation, which are made when they are first asked for.
   * @param {string} talk
   */
  #viewsOf(talk) {
    const known = this.#talks.get(talk);
    if (known) return known;
    const views = this.#made ? this.#page.history.turns(talk).map((turn) => this.#view(turn)) : [];
    this.#talks.set(talk, views);
    for (const view of views) view.takeUp();
    return views;
  }

  /** @param {import("./history.js").Turn} turn */
  #view(turn) {
    const Made = /** @type {typeof import("./turn.js").TurnView} */ (this.#made);
    return new Made(turn, this.#page);
  }

  #fit() {
    this.#made?.fitAll(this.#views);
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
