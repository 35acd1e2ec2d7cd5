/**
 * The composer's fields of the picture: preset, background, shape, place, shadow and file.
 *
 * @module
 */

import { byId, element } from "./dom.js";
import { strings } from "./strings.js";

/** Select fields, and what they are in a recipe. */
const SELECTS = {
  preset: "preset",
  shape: "aspectRatio",
  position: "productPosition",
  shadow: "shadow",
  "file-format": "outputFormat",
};
const SIX_DIGITS = /^#[0-9a-f]{6}$/i;

/** @typedef {{name: string, fields: Record<string, string | number | boolean>}} Preset */

/** The fields, in their details. */
export class CanvasFields {
  /** @type {Preset[]} */
  #presets = [];

  constructor() {
    byId("position").append(
      ...Object.entries(strings.positions).map(([value, text]) =>
        element("option", { value }, text)),
    );
    byId("background").addEventListener("change", () => this.show());
    this.setPresets([]);
  }

  /** @param {Preset[]} presets */
  setPresets(presets) {
    this.#presets = presets;
    const select = byId("preset");
    const before = select.value;
    select.replaceChildren(
      element("option", { value: "" }, strings.presetNone),
      ...presets.map(({ name }) => element("option", { value: name }, name)),
    );
    if (presets.some(({ name }) => name === before)) select.value = before;
    select.closest("label").hidden = presets.length === 0;
  }

  /** Whether a model paints the background. */
  get painted() {
    const chosen = byId("background").value || this.#preset.background || "scene";
    return chosen === "scene";
  }

  /** The chosen shape as width over height; null is the photo's. */
  get aspect() {
    const { size, aspect_ratio: ratio } = this.#preset;
    const shape = byId("shape").value || String(size ?? ratio ?? "").replace("x", ":");
    const [wide, high] = shape.split(":").map(Number);
    return wide > 0 && high > 0 ? wide / high : null;
  }

  /** @returns {File | null} the background picture */
  get file() {
    return byId("background-file").files[0] ?? null;
  }

  /** What is missing before it can be sent; null when nothing is. */
  get missing() {
    const wants = byId("background").value === "image";
    return wants && !byId("background-file").files.length
      ? { text: strings.needBackground, field: byId("background-file") }
      : null;
  }

  /**
   * What is set.
   * @returns {Partial<import("./client.js").Recipe>}
   */
  recipe() {
    /** @type {Record<string, any>} */
    const recipe = {};
    for (const [id, name] of Object.entries(SELECTS)) {
      if (byId(id).value) recipe[name] = byId(id).value;
    }
    if (byId("padding").value !== "") recipe.padding = byId("padding").valueAsNumber / 100;
    const background = byId("background").value;
    if (background) {
      recipe.background = background === "colour" ? byId("background-colour").value : background;
    }
    if (background === "image") recipe.backgroundImage = byId("background-file").files[0];
    return recipe;
  }

  /**
   * Put a recipe into the fields.
   * @param {Partial<import("./client.js").Recipe>} recipe
   */
  load(recipe) {
    for (const [id, name] of Object.entries(SELECTS)) choose(byId(id), /** @type {any} */ (recipe)[name]);
    const share = recipe.padding;
    byId("padding").value = typeof share === "number" ? String(Math.round(share * 100)) : "";
    const background = recipe.background ?? "";
    choose(byId("background"), background.toUpperCase() === "#FFFFFF" ? "#FFFFFF" : background);
    if (byId("background").value === "" && SIX_DIGITS.test(background)) {
      byId("background").value = "colour";
      byId("background-colour").value = background.toLowerCase();
    }
    if (recipe.backgroundImage) {
      const files = new DataTransfer();
      const { type } = recipe.backgroundImage;
      files.items.add(new File([recipe.backgroundImage], strings.backgroundFile, { type }));
      byId("background-file").files = files.files;
    }
    this.show();
    byId("picture").open = this.set;
  }

  /** Whether anything is set. */
  get set() {
    return Object.keys(this.recipe()).length > 0;
  }

  /** @returns {Preset["fields"]} of the chosen preset */
  get #preset() {
    return this.#presets.find(({ name }) => name === byId("preset").value)?.fields ?? {};
  }

  /** Show the fields that belong to the chosen background. */
  show() {
    const { value } = byId("background");
    byId("background-colour").closest("label").hidden = value !== "colour";
    byId("background-file").closest("label").hidden = value !== "image";
  }
}

/**
 * Choose an option, or the first where there is no such.
 * @param {any} select
 * @param {string | undefined} value
 */
function choose(select, value) {
  const known = [...select.options].some((option) => option.value === value);
  select.value = known ? value : "";
}
