/**
 * One result over the whole window, with what can be done with it; the others of its turn are a key
 * or a swipe away.
 *
 * It knows turns and their results. What continuing one means is the composer's matter.
 *
 * @module
 */

import { BackdropError } from "./client.js";
import { besideButtons, comparison, sideBySide } from "./compare.js";
import { closing, show } from "./dialogs.js";
import { announce, button, element } from "./dom.js";
import { downloads } from "./downloads.js";
import { confirm } from "./question.js";
import { recipeLink, titleOf } from "./recipe.js";
import { sentence, strings } from "./later_strings.js";
import { Zoom } from "./zoom.js";

/**
 * A result; of one that was shared nobody knows how true it is.
 * @typedef {Omit<import("./history.js").Result, "fidelity">
 *   & {fidelity?: import("./client.js").Fidelity}} ShownResult
 *
 * What is shown: a turn of the conversation, or a picture that somebody shared.
 * @typedef {Object} Shown
 * @property {Pick<import("./history.js").Turn,
 *   "recipe" | "modelName" | "aspect" | "photo" | "mask" | "imageUrl" | "cutout"
 *   | "wishes"> & {
 *   results: (ShownResult | null)[], shared?: boolean}} turn
 * @property {string | null} originalUrl
 * @property {(index: number) => void} focus takes the focus back
 * @property {(index: number) => void} [drop] a result was deleted; absent of what was shared
 * @property {(index: number, favourite: boolean) => void} [favour] it is one, or no longer
 *
 * @typedef {Object} Actions
 * @property {(view: Shown, index: number) => void} change
 * @property {(view: Shown, index: number) => void} same
 * @property {(view: Shown, index: number) => void} more
 * @property {(view: Shown) => void} other
 * @property {(recipe: import("./client.js").Recipe) => void} own starts from a photo of one's own
 */

/** Pixels that a finger must go sideways to mean the next image. */
const SWIPE_PX = 48;

/** Shows one result at a time, or some of a turn side by side. */
export class Viewer {
  #client;
  #gallery;
  #actions;
  /** @type {HTMLDialogElement | null} */
  #dialog = null;
  /** @type {Record<string, HTMLElement>} */
  #byLetter = {};
  /** @type {{view: Shown, index: number}} */
  #shown = /** @type {any} */ (null);
  #zoom = /** @type {Zoom} */ (/** @type {any} */ (null));

  /**
   * @param {import("./client.js").BackdropClient} client
   * @param {import("./pictures.js").Gallery} gallery
   * @param {Actions} actions
   */
  constructor(client, gallery, actions) {
    this.#client = client;
    this.#gallery = gallery;
    this.#actions = actions;
  }

  /**
   * Open a result.
   * @param {Shown} view
   * @param {number} index
   */
  open(view, index) {
    if (!view.turn.results[index]) return;
    const dialog = element("dialog", {
      class: "viewer",
      onkeydown: (/** @type {KeyboardEvent} */ event) => this.#typed(event),
    });
    this.#dialog = dialog;
    this.#fill(dialog, view, index);
    show(dialog, () => {
      // The event comes late: another result may be open by now.
      if (this.#dialog !== dialog) return;
      this.#dialog = null;
      // What was done from here has put the focus where it goes on.
      if (!dialog.returnValue) this.#shown.view.focus(this.#shown.index);
    });
    swipes(dialog, (by) => {
      if (!this.#zoom.zoomed) this.#go(by);
    });
  }

  /**
   * Put a result into the dialog.
   * @param {HTMLDialogElement} dialog
   * @param {Shown} view
   * @param {number} index
   * @param {number[] | null} [beside] the places of what is side by side; null shows the one
   */
  #fill(dialog, view, index, beside = null) {
    const result = /** @type {ShownResult} */ (view.turn.results[index]);
    this.#shown = { view, index };
    dialog.ariaLabel = strings.image(index + 1);
    const places = made(view);
    /** @type {(by: number, text: string, label: string, kind: string) => HTMLElement} */
    const go = (by, text, label, kind) =>
      button(text, () => this.#go(by), {
        class: `go ${kind}`,
        "aria-label": label,
        hidden: places.length < 2 || beside !== null,
      });
    /** @type {(text: string, label: string, act: () => void) => HTMLElement} */
    const tool = (text, label, act) =>
      button(text, act, { "aria-label": label });
    const whole = tool("", "", () => this.#zoom.reset());
    const stage = element(
      "div",
      { class: "stage" },
      beside ? sideBySide(this.#gallery, view, beside) : comparison(this.#gallery, view, index),
      go(-1, "‹", strings.previousImage, "previous"),
      go(1, "›", strings.nextImage, "next"),
      element(
        "div",
        { class: "zoom", role: "group", "aria-label": strings.zoom },
        tool("−", strings.zoomOut, () => this.#zoom.typed("-")),
        whole,
        tool("+", strings.zoomIn, () => this.#zoom.typed("+")),
        ...besideButtons(places, index, beside, (next) => this.#fill(dialog, view, index, next)),
      ),
    );
    this.#zoom = new Zoom(stage, (scale) => {
      whole.textContent = strings.percent(Math.round(scale * 100));
      whole.ariaLabel = strings.zoomWhole(Math.round(scale * 100));
    });
    this.#zoom.reset();
    dialog.replaceChildren(
      stage,
      element(
        "div",
        { class: "side" },
        element("p", { class: "prompt", dir: "auto" }, titleOf(view.turn.recipe)),
        element("p", { class: "hint" }, [
          view.turn.modelName,
          places.length > 1 ? strings.imageOf(places.indexOf(index) + 1, places.length) : "",
        ].filter(Boolean).join(" · ")),
        ...facts(result),
        this.#buttons(dialog, view, index, result),
      ),
      closing(),
    );
  }

  /**
   * Go to another result of the same turn; after the last comes the first.
   * @param {number} by
   */
  #go(by) {
    const { view, index } = this.#shown;
    const places = made(view);
    if (!this.#dialog || places.length < 2) return;
    const place = (places.indexOf(index) + by + places.length) % places.length;
    const focused = document.activeElement?.className;
    this.#fill(this.#dialog, view, places[place]);
    announce(strings.imageOf(place + 1, places.length));
    // The button that was pressed is there again; else the focus is on what compares.
    const again = focused?.startsWith("go") ? this.#dialog.querySelector(`.${focused.split(" ")[1]}`)
      : this.#dialog.querySelector("input, .close");
    /** @type {HTMLElement | null} */ (again)?.focus();
  }

  /**
   * Do what a letter stands for, as on the open dialog.
   * @param {string} key
   * @returns {boolean} whether it stands for something
   */
  act(key) {
    const target = this.#byLetter[key.toLowerCase()];
    if (!this.#dialog || !target) return false;
    target.click();
    return true;
  }

  /** @param {KeyboardEvent} event */
  #typed(event) {
    const target = /** @type {HTMLElement} */ (event.target);
    if (event.ctrlKey || event.metaKey || event.altKey || target.matches("[type=text]")) return;
    const field = target.matches("input, select");
    const by = { ",": -1, ".": 1, ...(!field && { ArrowLeft: -1, ArrowRight: 1 }) }[event.key];
    const zooms = !target.matches("select") && this.#zoom.typed(event.key);
    if (!zooms && by !== undefined) this.#go(by);
    if (zooms || by !== undefined || this.act(event.key)) event.preventDefault();
  }

  /**
   * @param {HTMLDialogElement} dialog
   * @param {Shown} view
   * @param {number} index
   * @param {ShownResult} result
   */
  #buttons(dialog, view, index, result) {
    const said = element("p", { class: "said", role: "status" });
    const failed = element("p", { class: "failure", role: "alert" });
    const say = (/** @type {string} */ text, wrong = false) => {
      said.textContent = wrong ? "" : text;
      failed.textContent = wrong ? text : "";
    };
    /** @type {(text: string, act: () => void, kind?: string) => HTMLElement} */
    const leaving = (text, act, kind) => button(text, () => {
      dialog.close("done");
      act();
    }, { class: kind });
    const { change: go, same: again, more: alike, other: anew, own: start } = this.#actions;
    const shared = view.drop === undefined;
    const change = leaving(strings.changeIt, () => go(view, index), shared ? "" : "primary");
    const same = leaving(strings.sameAgain, () => again(view, index));
    const other = leaving(strings.otherSeed, () => anew(view));
    const more = leaving(strings.moreLike, () => alike(view, index));
    // Only what a model painted comes out differently.
    other.hidden = more.hidden = !view.turn.recipe.prompt;
    const own = leaving(strings.makeOwn, () => start(view.turn.recipe), "primary");
    own.autofocus = true;
    const star = button(strings.favourite, () => {
      view.favour?.(index, !result.favourite);
      star.ariaPressed = String(Boolean(result.favourite));
    });
    star.ariaPressed = String(Boolean(result.favourite));
    const link = recipeLink(view.turn.recipe, result);
    const copy = button(strings.copyLink, () => copyLink(link, said));
    const erase = () => this.#delete(dialog, view, index, say);
    const remove = button(strings.deleteIt, erase, { class: "danger" });
    const results = /** @type {ShownResult[]} */ (view.turn.results.filter(Boolean));
    const { download, all, format } = downloads(this.#gallery, results, result, say);
    this.#byLetter = { c: change, d: download, l: copy, ...(shared ? {} : { s: same, f: star }) };
    const buttons = shared
      ? [own, change, download, format, copy, said, failed]
      : [change, more, other, same, star, download, all, format, copy, remove, said, failed];
    return element("div", { class: "actions" }, ...buttons);
  }

  /**
   * @param {HTMLDialogElement} dialog
   * @param {Shown} view
   * @param {number} index
   * @param {(text: string, wrong: boolean) => void} say
   */
  async #delete(dialog, view, index, say) {
    const { url } = /** @type {ShownResult} */ (view.turn.results[index]);
    if (!(await confirm(strings.deleteQuestion, strings.deleteIt))) return;
    try {
      await this.#client.remove(url);
    } catch (error) {
      // What is gone already needs no removal.
      if (!(error instanceof BackdropError) || error.status !== 404) {
        return say(sentence(error instanceof Error ? error.message : String(error)), true);
      }
    }
    dialog.close("done");
    view.drop?.(index);
    announce(strings.saidDeleted);
  }
}

/**
 * The places of a turn's results that are there.
 * @param {Shown} view
 */
function made({ turn }) {
  return turn.results.flatMap((result, index) => (result ? [index] : []));
}

/**
 * Tell of swipes over a picture, but not over the slider of the comparison.
 * @param {HTMLElement} dialog
 * @param {(by: number) => void} go
 */
function swipes(dialog, go) {
  let from = /** @type {number | null} */ (null);
  dialog.addEventListener("touchstart", ({ target, touches }) => {
    const free = !(/** @type {Element} */ (target).matches("input"));
    from = free && touches.length === 1 ? touches[0].clientX : null;
  }, { passive: true });
  dialog.addEventListener("touchend", ({ changedTouches }) => {
    const way = from === null ? 0 : changedTouches[0].clientX - from;
    from = null;
    if (Math.abs(way) > SWIPE_PX) go(way < 0 ? 1 : -1);
  }, { passive: true });
}

/** @param {ShownResult} result */
function facts({ seed, fidelity }) {
  // Rounded down: 100 % is said only of what is all there.
  const percent = fidelity ? Math.floor(fidelity.pixels * 1000) / 10 : 0;
  let kept = strings.keptNone;
  if (fidelity) kept = percent === 100 ? strings.keptAll : strings.keptMost(percent);
  return [
    seed === null ? "" : element("p", { class: "fact" }, strings.seedLine(seed)),
    // What a link brings says nothing of it.
    fidelity === undefined ? "" : element("p", { class: "fact" }, kept),
  ];
}

/**
 * @param {string} link
 * @param {HTMLElement} said
 */
async function copyLink(link, said) {
  try {
    await navigator.clipboard.writeText(link);
    said.textContent = strings.linkCopied;
  } catch {
    // Without TLS a page may not write to the clipboard: the reader copies by hand.
    const field = element("input", {
      type: "text",
      readonly: true,
      value: link,
      "aria-label": strings.linkShown,
    });
    said.replaceChildren(strings.linkShown, field);
    field.focus();
    field.select();
  }
}
