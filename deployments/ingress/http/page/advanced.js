/**
 * The composer's advanced fields: seed, steps, strength, guidance and negative prompt.
 *
 * @module
 */

import { byId } from "./dom.js";

const NUMBERS = { seed: "seed", steps: "steps", strength: "strength", guidance: "guidanceScale" };

/**
 * What is set for a model.
 * @returns {Partial<import("./client.js").Recipe>}
 */
export function advancedRecipe() {
  /** @type {Record<string, any>} */
  const recipe = {};
  for (const [id, name] of Object.entries(NUMBERS)) {
    if (byId(id).value !== "") recipe[name] = byId(id).valueAsNumber;
  }
  const negative = byId("negative-prompt").value.trim();
  if (negative) recipe.negativePrompt = negative;
  return recipe;
}

/**
 * Put a recipe into the fields.
 * @param {Partial<import("./client.js").Recipe>} recipe
 */
export function loadAdvanced(recipe) {
  const fields = /** @type {Record<string, any>} */ (recipe);
  for (const [id, name] of Object.entries(NUMBERS)) byId(id).value = fields[name] ?? "";
  byId("negative-prompt").value = recipe.negativePrompt ?? "";
  const known = ["auto", "true", "false"].includes(recipe.preserveProduct ?? "");
  byId("preserve").value = known ? recipe.preserveProduct : "auto";
}

/** Whether anything is set. */
export function advancedSet() {
  const fields = [...byId("advanced").querySelectorAll("input, select")];
  return fields.some(({ id, value }) => value !== (id === "preserve" ? "auto" : ""));
}
