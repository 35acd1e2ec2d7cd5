/**
 * The composer's fields of the picture: preset, background, shape, place, shadow and file.
 *
 * @module
 */

import { byId, choose, element, fieldOf } from "./dom.js";
import { withDialogs } from "./later.js";
import { strings } from "./strings.js";

/** Choices, and what they are in a recipe. */
const CHOICES = {
  preset: "preset",
  shape: "aspectRatio",
  shadow: "shadow",
  "file-format": "outputFormat",
};
/** The position that was set on the small canvas, and which a hidden field holds. */
const FREE = "free";
const SIX_DIGITS = /^#[0-9a-f]{6}$/i;

/** @typedef {{name: string, fields: Record<string, string | number | boolean>}} Preset */

/** The fields, in their details. */
export class CanvasFields {
  /** @type {Preset[]} */
  #presets = [];
  /** @type {import("./source.js").Kept | null} */
  #product = null;
  /** @type {Promise<import("./placement.js").Placement> | null} */
  #placement = null;
  #gallery;
  #changed;
  #fail;

  /**
   * @param {import("./pictures.js").Gallery} gallery
   * @param {Object} told
   * @param {() => void} told.changed the product was moved
   * @param {(text: string) => void} told.fail says what is wrong
   */
  constructor(gallery, { changed, fail }) {
    this.#gallery = gallery;
    this.#changed = changed;
    this.#fail = fail;
    byId("position").append(
      ...Object.entries(strings.positions).map(([value, text]) =>
        element("option", { value }, text)),
      element("option", { value: FREE }, strings.positionFree),
    );
    byId("picture").addEventListener("toggle", () => this.show());
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
    const sides = sidesOf(fieldOf("shape").value || String(size ?? ratio ?? ""));
    return sides && sides[0] / sides[1];
  }

  /**
   * Where the product shall lie, with what the preset says of it.
   * @returns {import("./placing.js").Wish}
   */
  get wish() {
    const { padding, productPosition } = this.recipe();
    const preset = this.#preset;
    const position = productPosition ?? preset.product_position ?? "auto";
    const room = padding ?? preset.padding;
    return {
      size: fieldOf("shape").value ? null : sidesOf(String(preset.size ?? "")),
      aspect: this.aspect,
      padding: room === undefined ? null : Number(room),
      position: position === "auto" ? null : String(position),
    };
  }

  /** @returns {string | null} the colour behind the product, where it has one */
  get #behind() {
    const { background } = { ...this.#preset, ...this.recipe() };
    return SIX_DIGITS.test(String(background)) ? String(background) : null;
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
    for (const [id, name] of Object.entries(CHOICES)) {
      if (fieldOf(id).value) recipe[name] = fieldOf(id).value;
    }
    const { value: position } = byId("position");
    if (position) recipe.productPosition = position === FREE ? byId("place").value : position;
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
    for (const [id, name] of Object.entries(CHOICES)) choose(id, /** @type {any} */ (recipe)[name]);
    this.#setPlace(recipe.productPosition ?? "", recipe.padding);
    const background = recipe.background ?? "";
    choose("background", background.toUpperCase() === "#FFFFFF" ? "#FFFFFF" : background);
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

  /**
   * Show the product that the next image will keep on the small canvas.
   * @param {import("./source.js").Kept | null} product null where none is known, or none is kept
   * @param {string} why it is not shown there
   */
  follow(product, why) {
    this.#product = product;
    byId("not-placing").textContent = why;
    this.show();
  }

  /** Show the fields that belong to the chosen background, and where the product will lie. */
  show() {
    const { value } = byId("background");
    byId("background-colour").closest("label").hidden = value !== "colour";
    byId("background-file").closest("label").hidden = value !== "image";
    this.#showPlace();
  }

  async #showPlace() {
    const host = byId("placing");
    if (!this.#product) host.hidden = true;
    if (!this.#product || !byId("picture").open) return;
    let placement;
    try {
      this.#placement ??= withDialogs(import("./placement.js"), "placing.css").then(
        ({ Placement }) => new Placement(host, this.#gallery, (placed) => {
          this.#setPlace(placed?.position ?? "", placed?.padding);
          if (!placed) this.show();
          this.#changed();
        }));
      placement = await this.#placement;
    } catch {
      this.#placement = null;
      host.hidden = true;
      this.#fail(strings.notLoaded);
      return;
    }
    const product = this.#product;
    if (!product) return;
    try {
      await placement.show(product, this.wish, this.#behind);
    } catch {
      if (product.url !== this.#product?.url) return;
      host.hidden = true;
      byId("not-placing").textContent = strings.notPlaced;
    }
  }

  /**
   * @param {string} position a word, or `X,Y`; empty for none
   * @param {number | undefined} padding a share
   */
  #setPlace(position, padding) {
    const free = position.includes(",");
    if (free) byId("place").value = position;
    choose("position", free ? FREE : position);
    byId("padding").value = padding === undefined ? "" : String(Math.round(padding * 1e4) / 100);
  }
}

/**
 * @param {string} shape such as `4:5` or `800x600`
 * @returns {[number, number] | null} null where it is none
 */
function sidesOf(shape) {
  const [wide, high] = shape.split(/[:x]/).map(Number);
  return wide > 0 && high > 0 ? [wide, high] : null;
}
