/**
 * A result that can be compared with what it was made from, by a slider over both; and with others
 * of its turn, side by side.
 *
 * @module
 */

import { button, element } from "./dom.js";
import { movesProduct, titleOf } from "./recipe.js";
import { strings } from "./later_strings.js";

/** Images that there is room for side by side. */
const MOST_BESIDE = 4;

/**
 * Results of a turn side by side.
 * @param {import("./pictures.js").Gallery} gallery
 * @param {import("./viewer.js").Shown} view
 * @param {number[]} indexes of two to four results
 * @returns {HTMLElement}
 */
export function sideBySide(gallery, view, indexes) {
  const cells = indexes.map((index) => {
    const figure = comparison(gallery, { ...view, originalUrl: null }, index);
    figure.append(element("span", { class: "number", "aria-hidden": "true" }, String(index + 1)));
    return element("div", { class: "cell" }, figure);
  });
  const sides = element("div", { class: "sides" }, ...cells);
  sides.style.setProperty("--columns", String(cells.length === 4 ? 2 : cells.length));
  return sides;
}

/**
 * The buttons that lay results side by side, and choose which.
 * @param {number[]} places of all results of the turn
 * @param {number} index of the result that is shown
 * @param {number[] | null} beside the places of what is side by side; null where one is shown
 * @param {(beside: number[] | null) => void} show
 * @returns {HTMLElement[]}
 */
export function besideButtons(places, index, beside, show) {
  if (places.length < 2) return [];
  const inOrder = (/** @type {number[]} */ some) => places.filter((place) => some.includes(place));
  /** @type {(text: string, label: string, pressed: boolean, next: number[] | null) => any} */
  const toggle = (text, label, pressed, next) =>
    button(text, () => {
      show(next);
      // The button that was pressed is there again.
      /** @type {any} */ (document.querySelector(`.zoom [aria-label="${label}"]`)).focus();
    }, { "aria-label": label, "aria-pressed": String(pressed) });
  const first = inOrder([...places.slice(places.indexOf(index)), ...places].slice(0, MOST_BESIDE));
  const all = toggle("◫", strings.sideBySide, beside !== null, beside ? null : first);
  if (!beside || places.length === 2) return [all];
  return [all, ...places.map((place) => {
    const shown = beside.includes(place);
    const next = shown ? beside.filter((other) => other !== place) : [...beside, place];
    const choice = toggle(String(place + 1), strings.image(place + 1), shown, inOrder(next));
    choice.disabled = next.length < 2 || next.length > MOST_BESIDE;
    return choice;
  })];
}

/**
 * @param {import("./pictures.js").Gallery} gallery
 * @param {import("./viewer.js").Shown} view
 * @param {number} index of the result
 * @returns {HTMLElement}
 */
export function comparison(gallery, view, index) {
  const { url } = /** @type {import("./viewer.js").ShownResult} */ (view.turn.results[index]);
  const image = element("img", {
    class: "after",
    alt: strings.imageAlt(index + 1, titleOf(view.turn.recipe)),
  });
  const figure = element("figure", { class: "compare" }, image);
  figure.style.setProperty("--aspect", String(view.turn.aspect));
  gallery.show(image, url, () =>
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
  // The browser's own menu is to be that of the image that lies below.
  slider.addEventListener("pointerdown", (/** @type {PointerEvent} */ { button }) => {
    if (button !== 2) return;
    slider.style.pointerEvents = "none";
    setTimeout(() => (slider.style.pointerEvents = ""), 500);
  });
  show();
  gallery.show(before, original, () => {
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
