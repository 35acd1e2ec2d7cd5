/**
 * What a running turn says of itself: its place in line, its steps, the time that is left.
 *
 * @module
 */

import { announce } from "./dom.js";
import { strings } from "./later_strings.js";

/** How long what follows the last step takes, as a share of the steps; learned from each turn. */
const ends = { share: 0.15 };
/** Events nearer to one another are told at once: of what was done before anybody listened. */
const GAP_MS = 60;

/** The state of one run. */
export class TurnState {
  #text;
  #turn;
  /** @type {{step: number, steps: number}[]} */
  #progress = [];
  /** When the speed was measured from, and the share that was done then; null before. */
  #base = /** @type {{at: number, share: number} | null} */ (null);
  /** When the last step was told of, and the share that was done with it. */
  #heard = 0;
  #before = 0;
  /** When the last step was done; 0 before. */
  #painted = 0;
  #saidHalf = false;
  /** @type {ReturnType<typeof setTimeout> | 0} */
  #told = 0;
  /** @type {number | undefined} */
  #timer;

  /**
   * @param {HTMLElement} text shows it
   * @param {import("./history.js").Turn} turn
   */
  constructor(text, turn) {
    this.#text = text;
    this.#turn = turn;
  }

  /**
   * Say something that does not count down.
   * @param {string} words
   * @param {boolean} [aloud] to screen readers too
   */
  say(words, aloud = false) {
    this.stop();
    this.#text.textContent = words;
    if (aloud) announce(words);
  }

  /** Nothing is to be counted any more. */
  stop() {
    clearInterval(this.#timer);
    clearTimeout(this.#told);
    this.#told = 0;
  }

  /** All is done: learn how long the end took. */
  finish() {
    this.stop();
    if (!this.#painted || !this.#base) return;
    const paintedMs = (this.#painted - this.#base.at) / Math.max(0.01, 1 - this.#base.share);
    ends.share = Math.min(1, (performance.now() - this.#painted) / Math.max(1000, paintedMs));
  }

  /**
   * @param {number} place in the line of the service
   * @param {number | null} expectedSeconds until it is done
   */
  place(place, expectedSeconds) {
    const { recipe, imageUrl, mask } = this.#turn;
    const searched = imageUrl !== null || mask !== null || recipe.cutout
      || recipe.preserveProduct === "false";
    const end = expectedSeconds === null ? null : performance.now() + expectedSeconds * 1000;
    this.#count(end, (left) =>
      place > 1 ? strings.inLine(place, left) : strings.beginning(!searched, left));
  }

  /**
   * A step is done.
   * @param {{index: number, step: number, steps: number}} progress
   * @param {HTMLProgressElement | null} bar of its image
   */
  step({ index, step, steps }, bar) {
    this.#progress[index] = { step, steps };
    if (bar) {
      // The last part is for what follows the last step.
      bar.max = steps * (1 + ends.share);
      bar.value = step;
    }
    const share = this.#share(steps);
    const now = performance.now();
    if (this.#base === null && this.#heard && now - this.#heard > GAP_MS) {
      this.#base = { at: this.#heard, share: this.#before };
    }
    this.#heard = now;
    this.#before = share;
    if (share >= 1) this.#painted = now;
    // Shown once for all that are told at once.
    this.#told ||= setTimeout(() => {
      this.#told = 0;
      this.#count(this.#end(), (left) =>
        strings.making(Math.floor(this.#before * steps + 1e-9), steps, left));
    }, GAP_MS / 2);
    if (share >= 0.5 && !this.#saidHalf) {
      this.#saidHalf = true;
      announce(strings.saidHalf);
    }
  }

  /** When all is done, at the speed so far; null where that is not known. */
  #end() {
    if (this.#base === null) return null;
    const tookMs = this.#heard - this.#base.at;
    const share = this.#before - this.#base.share;
    if (share < 0.05 || tookMs < 500) return null;
    return this.#heard + (tookMs / share) * (1 - this.#before + ends.share);
  }

  /**
   * Wait for the service.
   * @param {number} seconds
   * @param {(left: number) => string} words
   */
  wait(seconds, words) {
    const end = performance.now() + seconds * 1000;
    this.#count(end, (left) => (left ? words(Math.ceil(left)) : strings.sending), 250);
    announce(words(Math.ceil(seconds)));
  }

  /**
   * Say what is being done, and count the seconds to its end down.
   * @param {number | null} end milliseconds of the page's clock; null where it is not known
   * @param {(left: number | null) => string} say
   * @param {number} [every] milliseconds
   */
  #count(end, say, every = 500) {
    const show = () => {
      const left = end === null ? null : Math.max(0, (end - performance.now()) / 1000);
      this.#text.textContent = say(left);
    };
    this.stop();
    show();
    if (end !== null) this.#timer = setInterval(show, every);
  }

  /**
   * The share of all steps that is done.
   * @param {number} steps of an image that has not said its own
   */
  #share(steps) {
    const images = this.#turn.results.map((result, index) =>
      result ? 1 : (this.#progress[index]?.step ?? 0) / (this.#progress[index]?.steps ?? steps));
    return images.reduce((sum, one) => sum + one, 0) / images.length;
  }
}
