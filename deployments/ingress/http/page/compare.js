/**
 * A result that can be compared with what it was made from, by a slider over both.
 *
 * @module
 */

import { element } from "./dom.js";
import { movesProduct, titleOf } from "./recipe.js";
import { strings } from "./strings.js";

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
