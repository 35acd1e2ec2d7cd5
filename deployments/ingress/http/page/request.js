/**
 * What a turn was asked for, above its images.
 *
 * @module
 */

import { button, element } from "./dom.js";
import { titleOf } from "./recipe.js";
import { strings } from "./later_strings.js";

/**
 * @param {import("./history.js").Turn} turn
 * @param {import("./turn.js").Page} page
 * @returns {HTMLElement}
 */
export function requestOf({ recipe, modelName, photo, imageUrl }, { gallery, history, reveal }) {
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
      element("p", { class: "settings" }, settings.join(" · "),
        imageUrl === null ? null : threadTo(imageUrl, history, reveal)),
    ),
  );
}

/**
 * What leads to the image that is continued.
 * @param {string} imageUrl
 * @param {import("./history.js").History} history
 * @param {(url: string) => void} reveal
 */
function threadTo(imageUrl, history, reveal) {
  const places = history.turns().map(({ recipe, results }) =>
    ({ recipe, index: results.findIndex((result) => result?.url === imageUrl) }));
  const from = places.find(({ index }) => index >= 0);
  if (!from) return element("span", {}, ` · ${strings.continues(strings.linkedImage)}`);
  return button(`↳ ${strings.thread(from.index + 1, titleOf(from.recipe))}`,
    () => reveal(imageUrl), { class: "thread" });
}
