/**
 * What a turn was asked for, above its images.
 *
 * @module
 */

import { element } from "./dom.js";
import { titleOf } from "./recipe.js";
import { strings } from "./strings.js";

/**
 * @param {import("./history.js").Turn} turn
 * @param {import("./turn.js").Page} page
 * @returns {HTMLElement}
 */
export function requestOf({ recipe, modelName, photo, imageUrl }, { gallery, history }) {
  const thumb = element("img", { alt: "", width: 48, height: 48 });
  const shown = imageUrl ?? history.pictureUrl(photo);
  if (imageUrl !== null) gallery.show(thumb, imageUrl, () => thumb.remove());
  else if (shown !== null) thumb.src = shown;
  const settings = [strings.summary(modelName, recipe.numImages ?? 0)];
  if (recipe.seed !== undefined) settings.push(strings.seedShort(recipe.seed));
  return element(
    "div",
    { class: "request" },
    shown === null ? null : thumb,
    element(
      "div",
      {},
      element("p", { class: "prompt", dir: "auto" }, titleOf(recipe)),
      element("p", { class: "settings" }, settings.join(" · ")),
    ),
  );
}
