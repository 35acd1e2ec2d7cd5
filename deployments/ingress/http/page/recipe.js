/**
 * A recipe as a link: in the fragment of the page's address, which browsers send to no server.
 *
 * @module
 */

import { strings } from "./strings.js";

const RESULT_PATH = /\/generated\/[0-9a-f]{32}\.(?:png|jpg|webp)$/;
const NUMBERS = /** @type {const} */ ({
  seed: "seed",
  steps: "steps",
  strength: "strength",
  guidance_scale: "guidanceScale",
  padding: "padding",
});
const TEXTS = /** @type {const} */ ({
  prompt: "prompt",
  model: "model",
  negative_prompt: "negativePrompt",
  preserve_product: "preserveProduct",
  preset: "preset",
  background: "background",
  aspect_ratio: "aspectRatio",
  product_position: "productPosition",
  shadow: "shadow",
  output_format: "outputFormat",
});

/**
 * What a person calls it.
 * @param {import("./client.js").Recipe} recipe
 */
export const titleOf = ({ prompt, preset }) => prompt || preset || strings.plain;

/**
 * Whether the product may lie elsewhere than in the photo.
 * @param {import("./client.js").Recipe} recipe
 */
export const movesProduct = (recipe) =>
  ["preset", "size", "aspectRatio", "padding", "productPosition"].some((name) => name in recipe);

/**
 * The link that shows an image to somebody else, with the recipe it was made by.
 * @param {import("./client.js").Recipe} recipe
 * @param {{url: string, seed: number | null}} result
 */
export function recipeLink(recipe, result) {
  const fields = new URLSearchParams({ image_url: result.url });
  const wanted = { ...recipe, seed: result.seed };
  for (const [field, name] of Object.entries({ ...TEXTS, ...NUMBERS })) {
    const value = wanted[name];
    if (value !== undefined && value !== null && value !== "") fields.set(field, String(value));
  }
  const link = new URL(location.href);
  link.hash = fields.toString();
  return link.href;
}

/**
 * The recipe in a link's fragment, of which nothing is trusted but that it is text.
 * @param {string} fragment
 * @returns {{recipe: Record<string, string | number>, imageUrl: string} | null} null where the
 *   fragment is something else
 */
export function readRecipe(fragment) {
  const fields = new URLSearchParams(fragment.replace(/^#/, ""));
  const imageUrl = fields.get("image_url");
  if (imageUrl === null || !isResultUrl(imageUrl)) return null;
  /** @type {Record<string, string | number>} */
  const recipe = {};
  for (const [field, name] of Object.entries(TEXTS)) {
    const value = fields.get(field);
    if (value !== null) recipe[name] = value;
  }
  for (const [field, name] of Object.entries(NUMBERS)) {
    const value = fields.get(field);
    if (value !== null && Number.isFinite(Number(value))) recipe[name] = Number(value);
  }
  return { recipe, imageUrl };
}

/** @param {string} text */
function isResultUrl(text) {
  try {
    const { protocol, pathname } = new URL(text, location.href);
    return /^https?:$/.test(protocol) && RESULT_PATH.test(pathname);
  } catch {
    return false;
  }
}
