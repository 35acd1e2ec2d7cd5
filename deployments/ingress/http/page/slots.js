/**
 * The images of a turn, each in its place: what was made, how far it is, or why there is none.
 *
 * @module
 */

import { button, element } from "./dom.js";
import { tilePixels } from "./layout.js";
import { titleOf } from "./recipe.js";
import { strings } from "./later_strings.js";

/** The grid of one turn. */
export class Slots {
  #turn;
  #gallery;
  #open;

  /**
   * @param {import("./history.js").Turn} turn
   * @param {import("./pictures.js").Gallery} gallery
   * @param {(index: number) => void} open shows a result
   */
  constructor(turn, gallery, open) {
    this.#turn = turn;
    this.#gallery = gallery;
    this.#open = open;
    this.grid = element("ul", {
      class: "grid",
      role: "list",
      "aria-label": strings.resultsOf(titleOf(turn.recipe)),
    });
  }

  /**
   * The bar of an image that is being made.
   * @param {number} index
   * @returns {HTMLProgressElement | null}
   */
  bar(index) {
    return this.grid.children[index]?.querySelector("progress") ?? null;
  }

  /** Show all as they are now. */
  show() {
    const { aspect, results, absent, status } = this.#turn;
    this.grid.style.setProperty("--aspect", String(aspect));
    const any = results.some(Boolean) || absent.some(Boolean);
    this.grid.hidden = status !== "running" && !any;
    // What was focused is still there afterwards: results keep their elements.
    results.forEach((result, index) => {
      const slot = this.grid.children[index];
      if (slot === undefined) this.grid.append(this.#slot(index));
      else if (slot.dataset.url !== (result?.url ?? "") || result === null) this.renew(index);
    });
  }

  /**
   * Show one as it is now.
   * @param {number} index
   */
  renew(index) {
    this.grid.children[index]?.replaceWith(this.#slot(index));
  }

  /** @param {number} index */
  #slot(index) {
    const { recipe, results, absent, status } = this.#turn;
    const result = results[index];
    const number = index + 1;
    const slot = element("li", {
      "data-url": result?.url ?? "",
      class: result?.favourite ? "favourite" : null,
    });
    if (result) {
      const image = element("img", {
        alt: strings.imageAlt(number, titleOf(recipe)),
        loading: "lazy",
      });
      const gone = () =>
        slot.replaceChildren(element("span", { class: "nothing" }, strings.gone));
      this.#gallery.show(image, result.url, gone, tilePixels(this.grid));
      slot.append(button(image, () => this.#open(index),
        { class: "result", "aria-label": strings.openImage(number) }));
    } else if (status === "running") {
      slot.append(element("progress", { "aria-label": strings.image(number), max: 1, value: 0 }));
    } else {
      slot.append(element("span", { class: "nothing" }, absent[index] ?? strings.notMade));
    }
    return slot;
  }
}
