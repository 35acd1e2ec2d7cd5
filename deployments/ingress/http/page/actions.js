/**
 * What can be done with a result: continue it, or make it or more of its kind again.
 *
 * @module
 */

import { announce } from "./dom.js";
import { newId } from "./history.js";
import { strings } from "./strings.js";

/** How much of an image is painted anew where more like it are wanted. */
const ALIKE = 0.6;

/** @typedef {import("./viewer.js").Shown} Shown */

/** @typedef {Pick<import("./history.js").Turn,
 *   "recipe" | "modelName" | "photo" | "mask" | "imageUrl" | "aspect" | "cutout" | "wishes">
 * } Wanted of a new turn */

/**
 * A new turn, which was not sent yet.
 * @param {string} conversation its id
 * @param {Wanted} wanted
 * @returns {import("./history.js").Turn}
 */
export function newTurn(conversation, wanted) {
  return {
    id: newId(),
    conversation,
    created: Date.now(),
    status: "running",
    sent: null,
    results: [],
    warnings: [],
    absent: [],
    failure: null,
    tookS: 0,
    ...wanted,
  };
}

/**
 * The id of the cut-out of the product that a turn's images keep; null where none is known.
 * @param {Shown["turn"]} turn
 */
function productOf({ recipe, cutout }) {
  return recipe.preserveProduct === "false" ? null : (recipe.cutout ?? cutout ?? null);
}

/**
 * @param {import("./composer.js").Composer} composer
 * @param {import("./history.js").History} history
 * @param {(wanted: Wanted) => void} begin runs a turn in the conversation that is shown
 */
export function actionsOf(composer, history, begin) {
  /** @type {(view: Shown, index: number) => import("./viewer.js").ShownResult} */
  const resultOf = ({ turn }, index) =>
    /** @type {import("./viewer.js").ShownResult} */ (turn.results[index]);

  return {
    /**
     * Let the next prompt continue a result.
     * @param {Shown} view
     * @param {number} index
     */
    change(view, index) {
      const { turn } = view;
      const label = turn.shared ? strings.linkedImage : strings.image(index + 1);
      if (turn.shared) composer.load(turn.recipe);
      const { url } = resultOf(view, index);
      const { aspect, photo, wishes } = turn;
      composer.continueFrom({ url, label, aspect, photo, wishes, cutout: productOf(turn) });
      composer.focus();
      announce(strings.saidContinuing);
    },

    /**
     * Make images that resemble a result.
     * @param {Shown} view
     * @param {number} index
     */
    more(view, index) {
      const { recipe, modelName, photo, aspect, wishes } = view.turn;
      const { seed, cutout, strength, ...rest } = recipe;
      // An editing model sees the image whole, whatever the strength.
      const alike = composer.models.edits(recipe.model ?? "") ? {} : { strength: strength ?? ALIKE };
      begin({
        modelName,
        photo,
        aspect,
        recipe: { ...rest, ...alike },
        imageUrl: resultOf(view, index).url,
        cutout: productOf(view.turn),
        wishes,
        mask: null,
      });
    },

    /**
     * Make the same from the same start, with other seeds.
     * @param {Shown} view
     */
    other({ turn }) {
      const { modelName, photo, mask, imageUrl, aspect, cutout, wishes } = turn;
      const { seed, ...rest } = turn.recipe;
      if (imageUrl === null && !rest.cutout && !history.picture(photo)) {
        composer.fail(strings.photoGone);
      } else begin({ modelName, photo, mask, imageUrl, aspect, cutout, wishes, recipe: rest });
    },

    /**
     * Put a result's recipe into the composer, with what it started from and its seed.
     * @param {Shown} view
     * @param {number} index
     */
    async same(view, index) {
      const { imageUrl, aspect, photo, mask, recipe, cutout } = view.turn;
      const blob = history.picture(photo);
      if (imageUrl !== null) {
        const wishes = view.turn.wishes?.slice(0, -1);
        const label = strings.linkedImage;
        composer.continueFrom({ url: imageUrl, label, aspect, photo, cutout, wishes });
      } else if (blob && photo !== null) {
        const masked = history.picture(mask);
        const file = blob instanceof File ? blob : new File([blob], strings.photo);
        await composer.setPhoto(file, {
          id: photo,
          mask: mask && masked ? { id: mask, blob: masked } : null,
          cutout: recipe.cutout,
        });
      }
      composer.load({ ...recipe, seed: resultOf(view, index).seed ?? undefined });
      if (imageUrl === null && !blob) composer.fail(strings.photoGone);
      announce(strings.saidRestored);
    },

    /**
     * Put a recipe into the composer, for a photo of one's own: other seeds, other pictures.
     * @param {import("./client.js").Recipe} recipe
     */
    own({ seed, ...recipe }) {
      composer.continueFrom(null);
      composer.load(recipe);
      announce(strings.saidRestored);
    },
  };
}
