/**
 * The dialog of one result: large, beside the original, with what can be done with it.
 *
 * Knows turns and their results; what continuing one means is the composer's matter.
 *
 * @module
 */

import { BackdropError } from "./client.js";
import { announce, confirm, element } from "./dom.js";
import { movesProduct, recipeLink, titleOf } from "./recipe.js";
import { sentence, strings } from "./strings.js";

/**
 * @typedef {Object} Actions
 * @property {(view: import("./turn.js").TurnView, index: number) => void} change
 * @property {(view: import("./turn.js").TurnView, index: number) => void} same
 */

/** Shows one result at a time. */
export class Viewer {
  #client;
  #gallery;
  #actions;
  /** @type {HTMLDialogElement | null} */
  #dialog = null;
  /** @type {Record<string, HTMLElement>} */
  #byLetter = {};

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
   * @param {import("./turn.js").TurnView} view
   * @param {number} index
   */
  open(view, index) {
    const result = view.turn.results[index];
    if (!result) return;
    const dialog = element("dialog", {
      class: "viewer",
      "aria-label": strings.image(index + 1),
      onkeydown: (/** @type {KeyboardEvent} */ event) => this.#typed(event),
      onclose: () => {
        dialog.remove();
        this.#dialog = null;
      },
      onclick: (/** @type {Event} */ event) => {
        if (event.target === dialog) dialog.close(); // its backdrop
      },
    });
    const close = element(
      "button",
      {
        type: "button",
        class: "close",
        "aria-label": strings.close,
        onclick: () => dialog.close(),
      },
      "×",
    );
    dialog.append(
      element(
        "div",
        { class: "frame" },
        this.#comparison(view, index, result),
        element(
          "div",
          { class: "side" },
          element("p", { class: "prompt", dir: "auto" }, titleOf(view.turn.recipe)),
          element("p", { class: "hint" }, view.turn.modelName),
          ...facts(result),
          this.#buttons(dialog, view, index, result),
        ),
        close,
      ),
    );
    this.#dialog = dialog;
    document.body.append(dialog);
    dialog.showModal();
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
    if (this.act(event.key)) event.preventDefault();
  }

  /**
   * @param {import("./turn.js").TurnView} view
   * @param {number} index
   * @param {import("./history.js").Result} result
   */
  #comparison(view, index, { url }) {
    const image = element("img", {
      class: "after",
      alt: strings.imageAlt(index + 1, titleOf(view.turn.recipe)),
    });
    const figure = element("figure", { class: "compare" }, image);
    figure.style.setProperty("--aspect", String(view.turn.aspect));
    this.#gallery.show(image, url, () =>
      figure.replaceChildren(element("span", { class: "nothing" }, strings.gone)));
    // Where the product lies elsewhere, the photo under it would show another place.
    const original = movesProduct(view.turn.recipe) ? null : view.originalUrl;
    if (original === null) return figure;
    const before = element("img", { class: "before", alt: "" });
    const slider = element("input", {
      type: "range",
      min: 0,
      max: 100,
      value: 0,
      "aria-label": strings.compare,
      autofocus: true,
    });
    const show = () => {
      figure.style.setProperty("--split", `${slider.value}%`);
      slider.ariaValueText = strings.compareValue(slider.value);
    };
    slider.addEventListener("input", show);
    show();
    this.#gallery.show(before, original, () => {
      for (const part of [...figure.children]) if (part !== image) part.remove();
    });
    const shown = { "aria-hidden": "true" };
    figure.append(
      before,
      element("span", { class: "handle", ...shown }),
      element("span", { class: "knob", ...shown }, "↔"),
      slider,
    );
    return figure;
  }

  /**
   * @param {HTMLDialogElement} dialog
   * @param {import("./turn.js").TurnView} view
   * @param {number} index
   * @param {import("./history.js").Result} result
   */
  #buttons(dialog, view, index, result) {
    const button = (text, act, kind = null) =>
      element("button", { type: "button", class: kind, onclick: act }, text);
    const said = element("p", { class: "said", role: "status" });
    const change = button(strings.changeIt, () => {
      dialog.close();
      this.#actions.change(view, index);
    }, "primary");
    const same = button(strings.sameAgain, () => {
      dialog.close();
      this.#actions.same(view, index);
    });
    const link = recipeLink(view.turn.recipe, result);
    const copy = button(strings.copyLink, () => copyLink(link, said));
    const erase = () => this.#delete(dialog, view, index, said);
    const remove = button(strings.deleteIt, erase, "danger");
    const download = this.#download(result);
    this.#byLetter = { c: change, s: same, d: download, l: copy };
    return element(
      "div",
      { class: "actions" },
      change, same, download, copy, remove, said,
    );
  }

  /** @param {import("./history.js").Result} result */
  #download({ url, seed }) {
    const ending = /\.\w+$/.exec(url)?.[0] ?? "";
    const name = `backdrop${seed === null ? "" : `-${seed}`}${ending}`;
    const link = element("a", { class: "button", href: url, download: name }, strings.download);
    link.addEventListener("click", async (/** @type {Event} */ event) => {
      // A browser saves by itself what is of this origin and open to all; the rest is fetched.
      if (link.href.startsWith("blob:") || !this.#gallery.mustFetch(url)) return;
      event.preventDefault();
      const blob = await this.#gallery.blob(url).catch(() => null);
      if (blob === null) {
        window.open(url, "_blank", "noopener");
        return;
      }
      link.href = URL.createObjectURL(blob);
      link.click();
    });
    return link;
  }

  /**
   * @param {HTMLDialogElement} dialog
   * @param {import("./turn.js").TurnView} view
   * @param {number} index
   * @param {HTMLElement} said
   */
  async #delete(dialog, view, index, said) {
    const { url } = /** @type {import("./history.js").Result} */ (view.turn.results[index]);
    if (!(await confirm(strings.deleteQuestion, strings.deleteIt))) return;
    try {
      await this.#client.remove(url);
    } catch (error) {
      // What is gone already needs no removal.
      if (!(error instanceof BackdropError) || error.status !== 404) {
        said.textContent = sentence(error instanceof Error ? error.message : String(error));
        return;
      }
    }
    dialog.close();
    view.drop(index);
    announce(strings.saidDeleted);
  }
}

/** @param {import("./history.js").Result} result */
function facts({ seed, fidelity }) {
  // Rounded down: 100 % is said only of what is all there.
  const percent = fidelity ? Math.floor(fidelity.pixels * 1000) / 10 : 0;
  return [
    seed === null ? "" : element("p", { class: "fact" }, strings.seedLine(seed)),
    fidelity
      ? element("p", { class: "fact", title: strings.fidelityHint }, strings.fidelityLine(percent))
      : element("p", { class: "fact" }, strings.fidelityNone),
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
