/**
 * The form: what the next turn starts from, what it shall show, and how.
 *
 * It hands over what was asked for.
 *
 * @module
 */

import { CanvasFields } from "./canvas.js";
import { byId, element, rove } from "./dom.js";
import { takeDrops } from "./drops.js";
import { newId } from "./history.js";
import { Ideas } from "./ideas.js";
import { Product } from "./product.js";
import { strings } from "./strings.js";
import { admitted, setLimits } from "./uploads.js";

/**
 * What the next turn starts from, if not from a photo.
 * @typedef {Object} Continued
 * @property {string} url the image
 * @property {string} label what it is called
 * @property {number} aspect width over height
 * @property {string | null} photo id of the photo it was made from, if that is here
 *
 * @typedef {Object} Asked
 * @property {import("./client.js").Recipe} recipe
 * @property {string} modelName
 * @property {{id: string, picture: import("./pictures.js").Picture} | null} photo
 * @property {{id: string, blob: Blob} | null} mask
 * @property {Continued | null} continued
 * @property {number | null} aspect width over height where it is not the photo's
 * @property {Promise<string | null>} [cutting] the id of the cut-out of the photo's product, which
 *   is being looked for; null where none is found
 */

const NUMBERS = { seed: "seed", steps: "steps", strength: "strength", guidance: "guidanceScale" };

/** The composer. */
export class Composer {
  #gallery;
  #product;
  #canvas = new CanvasFields();
  #form = byId("composer");
  #prompt = byId("prompt");
  #error = byId("composer-error");
  /** @type {Asked["photo"]} */
  #photo = null;
  /** @type {Asked["mask"]} */
  #mask = null;
  /** @type {Continued | null} */
  #continued = null;
  /** @type {string | null} */
  #photoUrl = null;
  #ideas = new Ideas((idea) => this.#take(idea));
  /** What a restored recipe has replaced, put back once it was sent. */
  #replaced = /** @type {{images: string} | null} */ (null);
  /** @type {Set<string>} */
  #demos = new Set();
  #longestPrompt = Infinity;

  /**
   * @param {import("./client.js").BackdropClient} client
   * @param {import("./pictures.js").Gallery} gallery
   * @param {(asked: Asked) => void} create
   * @param {(key: string | null) => void} setKey
   */
  constructor(client, gallery, create, setKey) {
    this.#gallery = gallery;
    this.#product = new Product(client, gallery, () => this.askKey());
    this.#form.addEventListener("submit", (/** @type {Event} */ event) => {
      event.preventDefault();
      const asked = this.#asked();
      if (!asked) return;
      this.#afterwards(asked.recipe.prompt !== undefined);
      create(asked);
    });
    this.#form.addEventListener("input", () => this.#say(""));
    byId("model").addEventListener("change", () => this.#showDemo());
    byId("photo").addEventListener("change", (/** @type {Event} */ event) => this.#picked(event.target));
    byId("camera").addEventListener("change", (/** @type {Event} */ event) => this.#picked(event.target));
    byId("chosen").querySelector("button").onclick = () => this.#leave(() => this.#drop());
    byId("continuing").querySelector("button").onclick = () =>
      this.#leave(() => this.continueFrom(null));
    byId("mask-set").querySelector("button").onclick = () => {
      this.#setMask(null);
      if (this.#photo) this.#product.find(this.#photo.picture);
    };
    byId("paint-mask").onclick = () => this.paintMask();
    const key = byId("api-key");
    key.addEventListener("change", () => setKey(key.value.trim() || null));
    key.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
      if (event.key !== "Enter") return;
      event.preventDefault(); // it is the key that is meant, not the form
      this.focus();
    });
    this.#fillSamples();
    takeDrops((file) => this.setPhoto(file));
    this.#showSource();
  }

  /**
   * @param {import("./client.js").Model[]} models
   * @param {import("./canvas.js").Preset[]} [presets]
   * @param {Record<string, number | null>} [limits] as of the catalog
   */
  setModels(models, presets = [], limits = {}) {
    setLimits(limits);
    byId("images").max = limits.max_images ?? "";
    this.#longestPrompt = limits.max_prompt_chars ?? Infinity;
    this.#demos = new Set(models.filter(({ demo }) => demo).map(({ id }) => id));
    this.#canvas.setPresets(presets);
    const select = byId("model");
    const before = select.value;
    select.replaceChildren(
      ...models.map(({ id, name }) => element("option", { value: id }, name)),
    );
    if (models.length === 0) select.append(element("option", { value: "" }, strings.noModels));
    if (models.some(({ id }) => id === before)) select.value = before;
    this.#ideas.setModels(models);
    this.#showDemo();
  }

  /** Demo weights are told for what they are. */
  #showDemo() {
    const demo = this.#demos.has(byId("model").value);
    byId("demo").hidden = byId("demo-words").hidden = !demo;
  }

  /**
   * What people call a model.
   * @param {string} id
   */
  modelName(id) {
    return [...byId("model").options].find(({ value }) => value === id)?.textContent ?? id;
  }

  /**
   * Say what is wrong, beside the prompt.
   * @param {string} text
   */
  fail(text) {
    this.#say(text);
  }

  /** Ask for the API key. */
  askKey() {
    byId("key").hidden = false;
    byId("api-key").focus();
  }

  focus() {
    this.#prompt.focus();
  }

  /**
   * Give a prompt back that came to nothing, unless another was begun meanwhile.
   * @param {string} prompt
   */
  giveBack(prompt) {
    this.#prompt.value ||= prompt;
  }

  /** Whether the prompt has the focus and nothing in it. */
  get idle() {
    return document.activeElement === this.#prompt && this.#prompt.value === "";
  }

  /**
   * Let the next turn continue an image, or again start from a photo.
   * @param {Continued | null} continued
   */
  continueFrom(continued) {
    this.#continued = continued;
    if (continued) {
      this.#setMask(null);
      this.#gallery.show(byId("continuing").querySelector("img"), continued.url);
      byId("continuing").querySelector("span").textContent = strings.continues(continued.label);
    }
    this.#showSource();
  }

  /**
   * Put a recipe into the fields.
   * @param {Partial<import("./client.js").Recipe>} recipe
   */
  load(recipe) {
    this.#prompt.value = recipe.prompt ?? "";
    const select = byId("model");
    const known = [...select.options].some(({ value }) => value === recipe.model);
    if (known) select.value = recipe.model;
    this.#ideas.show();
    this.#showDemo();
    const fields = /** @type {Record<string, any>} */ (recipe);
    for (const [id, name] of Object.entries(NUMBERS)) byId(id).value = fields[name] ?? "";
    byId("negative-prompt").value = recipe.negativePrompt ?? "";
    const preserves = ["auto", "true", "false"].includes(recipe.preserveProduct ?? "");
    byId("preserve").value = preserves ? recipe.preserveProduct : "auto";
    this.#replaced = { images: byId("images").value };
    byId("images").value = 1;
    byId("advanced").open = true;
    this.#canvas.load(recipe);
    this.#say("");
    this.focus();
  }

  /**
   * Start from this photo, and perhaps with this mask.
   * @param {File} file
   * @param {string} [id] where it is known already
   * @param {{id: string, blob: Blob} | null} [mask]
   * @param {string} [cutout] the id of the cut-out of its product, where one was made
   */
  async setPhoto(file, id = newId(), mask = null, cutout = undefined) {
    const { picture, said } = await admitted(file);
    if (!picture) return this.#say(said);
    this.#drop();
    this.#photo = { id, picture };
    this.#photoUrl = URL.createObjectURL(picture.file);
    byId("chosen").querySelector("img").src = this.#photoUrl;
    byId("chosen").title = byId("chosen").querySelector("span").textContent =
      file.name || strings.pasted;
    this.#say(said);
    this.#setMask(mask);
    this.continueFrom(null);
    this.focus();
    if (mask === null) this.#product.find(picture, cutout);
  }

  /** Open the mask painter. */
  async paintMask() {
    byId("advanced").open = true;
    if (!this.#photo || this.#continued) return this.#say(strings.maskNeedsPhoto);
    const { id, picture } = this.#photo;
    const { paintMask } = await import("./mask.js");
    const blob = await paintMask(picture);
    if (blob && this.#photo?.id === id) this.#setMask({ id: newId(), blob });
  }

  /** @returns {Asked | null} */
  #asked() {
    const model = byId("model");
    const prompt = this.#prompt.value.trim();
    if (!this.#photo && !this.#continued) return this.#refuse(strings.needPhoto, byId("photo"));
    const { missing, painted, aspect } = this.#canvas;
    if (missing) return this.#refuse(missing.text, missing.field);
    if (painted && !prompt) return this.#refuse(strings.needPrompt, this.#prompt);
    if (painted && !model.value) return this.#refuse(strings.needModel, model);
    const longest = this.#longestPrompt;
    if (prompt.length > longest) return this.#refuse(strings.promptTooLong(longest), this.#prompt);
    const images = byId("images");
    if (!images.checkValidity()) {
      return this.#refuse(strings.imagesRange(Number(images.max) || 1), images);
    }
    const preserve = byId("preserve").value;
    // A mask, a result or no product at all go before what was found.
    const found = this.#mask || this.#continued || preserve === "false";
    const cutout = found ? null : this.#product.cutout;
    return {
      recipe: {
        ...(painted ? this.#painting(prompt, model.value) : { numImages: 1 }),
        preserveProduct: preserve,
        ...this.#canvas.recipe(),
        ...(cutout && { cutout }),
      },
      modelName: painted ? model.selectedOptions[0].textContent : strings.plain,
      aspect,
      photo: this.#continued ? null : this.#photo,
      mask: this.#continued ? null : this.#mask,
      continued: this.#continued,
      cutting: found || cutout ? undefined : this.#product.found(),
    };
  }

  /**
   * What a model is asked for.
   * @param {string} prompt
   * @param {string} model
   * @returns {import("./client.js").Recipe}
   */
  #painting(prompt, model) {
    /** @type {import("./client.js").Recipe & Record<string, any>} */
    const recipe = { prompt, model, numImages: byId("images").valueAsNumber || 4 };
    for (const [id, name] of Object.entries(NUMBERS)) {
      if (byId(id).value !== "") recipe[name] = byId(id).valueAsNumber;
    }
    const negative = byId("negative-prompt").value.trim();
    if (negative) recipe.negativePrompt = negative;
    return recipe;
  }

  /** @param {boolean} prompted whether the prompt was sent */
  #afterwards(prompted) {
    this.#say("");
    if (prompted) this.#prompt.value = "";
    if (this.#replaced) {
      byId("images").value = this.#replaced.images;
      byId("seed").value = "";
      this.#replaced = null;
    }
    // What stays set stays in sight.
    const fields = [...byId("advanced").querySelectorAll("input, select")];
    const set = fields.some(({ id, value }) => value !== (id === "preserve" ? "auto" : ""));
    byId("advanced").open = set || this.#mask !== null;
    byId("picture").open = this.#canvas.set;
    byId("idea-list").open = false;
    this.focus();
  }

  /**
   * @param {string} text
   * @param {HTMLElement} field
   */
  #refuse(text, field) {
    this.#say(text);
    field.focus();
    return null;
  }

  /** @param {string} text */
  #say(text) {
    if (this.#error.textContent !== text) this.#error.textContent = text;
  }

  /** @param {any} input */
  #picked(input) {
    const file = input.files[0];
    // Emptied, so that the same file can be chosen again.
    input.value = "";
    if (file) this.setPhoto(file);
  }

  /** @param {() => void} leave takes away the button that has the focus */
  #leave(leave) {
    leave();
    this.focus();
  }

  #drop() {
    if (this.#photoUrl) URL.revokeObjectURL(this.#photoUrl);
    this.#photo = null;
    this.#photoUrl = null;
    this.#product.leave();
    this.#setMask(null);
    this.#showSource();
  }

  /** @param {Asked["mask"]} mask */
  #setMask(mask) {
    this.#mask = mask;
    byId("mask-set").hidden = mask === null;
    if (mask) this.#product.leave();
  }

  #showSource() {
    byId("continuing").hidden = this.#continued === null;
    byId("chosen").hidden = this.#photo === null || this.#continued !== null;
    byId("product").classList.toggle("elsewhere", this.#continued !== null);
    byId("photo-hint").hidden = this.#photo !== null || this.#continued !== null;
  }

  /** @param {string} idea */
  #take(idea) {
    this.#prompt.value = idea;
    this.#say("");
    this.focus();
  }

  #fillSamples() {
    const buttons = strings.samples.map(({ file, name }) => {
      const address = `playground/samples/${file}`;
      const picture = element("img", { src: address, alt: "", width: 40, height: 40 });
      const take = () => this.#takeSample(address, name);
      return element("button", { type: "button", title: name, "aria-label": name, onclick: take },
        picture);
    });
    byId("samples").append(...buttons);
    rove(byId("samples"));
  }

  /**
   * @param {string} address
   * @param {string} name
   */
  async #takeSample(address, name) {
    const response = await fetch(address).catch(() => null);
    if (!response?.ok) return this.#say(strings.noSample);
    const blob = await response.blob();
    await this.setPhoto(new File([blob], name, { type: blob.type }));
  }
}
