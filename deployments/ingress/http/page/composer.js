/**
 * The form: what the next turn starts from, what it shall show, and how.
 *
 * It hands over what was asked for.
 *
 * @module
 */

import { advancedRecipe, advancedSet, loadAdvanced } from "./advanced.js";
import { CanvasFields } from "./canvas.js";
import { byId } from "./dom.js";
import { fieldValues, putFieldValues } from "./draft.js";
import { takeDrops } from "./drops.js";
import { newId } from "./history.js";
import { Ideas } from "./ideas.js";
import { withDialogs } from "./later.js";
import { Models } from "./models.js";
import { useSamples } from "./samples.js";
import { Source } from "./source.js";
import { strings } from "./strings.js";

/**
 * What the next turn starts from, if not from a photo.
 * @typedef {Object} Continued
 * @property {string} url the image
 * @property {string} label what it is called
 * @property {number} aspect width over height
 * @property {string | null} photo id of the photo it was made from, if that is here
 * @property {string | null} [cutout] the id of the cut-out of its product, where there is one
 * @property {import("./placing.js").Wish[]} [wishes] as of a turn
 *
 * @typedef {Object} Asked
 * @property {import("./client.js").Recipe} recipe
 * @property {string} modelName
 * @property {import("./source.js").Photo | null} photo
 * @property {import("./source.js").Photo[]} others of a batch: each for a conversation of its own
 * @property {import("./source.js").Mask | null} mask
 * @property {Continued | null} continued
 * @property {number | null} aspect width over height where it is not the photo's
 * @property {import("./placing.js").Wish[]} wishes as of a turn
 * @property {Promise<string | null>} [cutting] the id of the cut-out of the photo's product, which
 *   is being looked for; null where none is found
 */

/** The composer. */
export class Composer {
  #source;
  #canvas;
  #form = byId("composer");
  #prompt = byId("prompt");
  #error = byId("composer-error");
  #notice = byId("composer-notice");
  #ideas = new Ideas((idea) => this.#take(idea));
  /** What a restored recipe has replaced, put back once it was sent. */
  #replaced = /** @type {{images: string} | null} */ (null);
  models = new Models();
  /** @type {Record<string, number | null>} */
  #limits = {};
  /** What a draft wants of lists that are not there yet. */
  #wanted = /** @type {Record<string, string>} */ ({});
  #changed;
  #begun;

  /**
   * @param {import("./client.js").BackdropClient} client
   * @param {import("./pictures.js").Gallery} gallery
   * @param {Object} told
   * @param {(id: string | null) => Blob | null} told.picture of earlier turns, by its id
   * @param {(asked: Asked) => void} told.create
   * @param {(key: string | null) => void} told.setKey
   * @param {() => void} told.changed the draft is another
   * @param {() => void} told.begun there is a photo: an image may be asked for soon
   */
  constructor(client, gallery, { picture, create, setKey, changed: told, begun }) {
    const changed = (this.#changed = () => {
      this.#canvas.follow(this.#source.kept, this.#source.unplaced);
      told();
    });
    this.#begun = begun;
    this.#canvas = new CanvasFields(gallery, { changed: told, fail: (text) => this.fail(text) });
    this.#source = new Source(client, gallery, {
      picture,
      needKey: () => this.askKey(),
      fail: (text) => this.fail(text),
      tell: (text) => this.tell(text),
      changed,
      left: () => this.focus(),
    });
    this.#form.addEventListener("submit", (/** @type {Event} */ event) => {
      event.preventDefault();
      const asked = this.#asked();
      if (!asked) return;
      this.#afterwards(asked.recipe.prompt !== undefined);
      byId("idea-list").open = false;
      this.focus();
      create(asked);
      changed();
    });
    this.#form.addEventListener("input", () => {
      this.fail("");
      changed();
    });
    for (const id of ["photo", "camera"]) {
      byId(id).addEventListener("change", () => {
        const files = [...byId(id).files];
        // Emptied, so that the same file can be chosen again.
        byId(id).value = "";
        if (files.length) this.#choose(files);
      });
    }
    byId("paint-mask").onclick = () => this.paintMask();
    const key = byId("api-key");
    key.addEventListener("change", () => setKey(key.value.trim() || null));
    key.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
      if (event.key !== "Enter") return;
      event.preventDefault(); // it is the key that is meant, not the form
      this.focus();
    });
    useSamples(async (file, prompt) => {
      await this.setPhoto(file);
      if (prompt === undefined) return;
      this.#prompt.value = prompt;
      this.#form.requestSubmit();
    }, (text) => this.fail(text));
    takeDrops((files) => this.#choose(files), (text) => this.fail(text));
  }

  /**
   * @param {import("./client.js").Model[]} models
   * @param {import("./canvas.js").Preset[]} [presets]
   * @param {Record<string, number | null>} [limits] as of the catalog
   */
  setModels(models, presets = [], limits = {}) {
    this.#limits = limits;
    byId("images").max = limits.max_images ?? "";
    this.models.set(models);
    this.#canvas.setPresets(presets);
    const { model, preset } = this.#wanted;
    putFieldValues({ model, preset });
    if (models.length) this.#wanted = {};
    this.#ideas.setModels(models);
    this.models.showDemo();
  }

  /** @param {string} text what is wrong, said beside the prompt; empty takes it back */
  fail(text) {
    if (this.#error.textContent !== text) this.#error.textContent = text;
    this.#notice.textContent = "";
  }

  /** @param {string} text what was done or goes on, and is no failure; said until the next input */
  tell(text) {
    this.#notice.textContent = text;
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
    this.#changed();
  }

  /** What was begun with a batch goes on in its conversations. */
  leaveBatch() {
    this.#source.drop();
    this.#changed();
  }

  /** Whether the prompt has the focus and nothing in it. */
  get idle() {
    return document.activeElement === this.#prompt && this.#prompt.value === "";
  }

  /** @param {Continued | null} continued the next turn starts from it; null: from a photo again */
  continueFrom(continued) {
    this.#source.continueFrom(continued);
  }

  /** @param {Partial<import("./client.js").Recipe>} recipe is put into the fields */
  load(recipe) {
    this.#prompt.value = recipe.prompt ?? "";
    const select = byId("model");
    const known = [...select.options].some(({ value }) => value === recipe.model);
    if (known) select.value = recipe.model;
    this.#ideas.show();
    this.models.showDemo();
    loadAdvanced(recipe);
    this.#replaced = { images: byId("images").value };
    byId("images").value = 1;
    byId("advanced").open = true;
    this.#canvas.load(recipe);
    this.fail("");
    this.#changed();
    this.focus();
  }

  /**
   * Start from this photo, and perhaps with this mask.
   * @param {File} file
   * @param {Parameters<Source["choose"]>[2]} [known] what is known of it already
   */
  async setPhoto(file, known) {
    await this.#choose([file], known);
  }

  /**
   * @param {File[]} files
   * @param {Parameters<Source["choose"]>[2]} [known]
   */
  async #choose(files, known) {
    if (!(await this.#source.choose(files, this.#limits, known))) return;
    this.#begun();
    this.focus();
  }

  /**
   * What is in the fields, with what it starts from.
   * @returns {Omit<import("./history.js").Draft, "photo" | "others" | "mask" | "background"> & {
   *   photo: Asked["photo"], others: Asked["others"], mask: Asked["mask"],
   *   background: File | null}}
   */
  get draft() {
    const { photo, others, mask, continued, product } = this.#source;
    return {
      fields: { ...fieldValues(), ...this.#wanted },
      photo,
      others,
      photoName: photo?.picture.file.name ?? "",
      mask,
      cutout: product.cutout,
      background: this.#canvas.file,
      continued,
    };
  }

  /**
   * Put a draft back, or begin an empty one.
   * @param {import("./history.js").Draft | null} draft
   * @param {import("./history.js").History} history
   */
  async restore(draft, history) {
    this.#form.reset();
    this.#source.drop();
    this.#source.continueFrom(null);
    this.#canvas.load({});
    this.#replaced = null;
    if (!draft) return this.#afterwards(false);
    const { fields, continued } = draft;
    const background = history.picture(draft.background);
    if (background) this.#canvas.load({ background: "image", backgroundImage: background });
    putFieldValues(fields);
    this.#canvas.show();
    this.#wanted = this.models.known ? {} : { model: fields.model, preset: fields.preset };
    this.models.showDemo();
    this.#afterwards(false);
    await this.#source.restore(draft, history);
    if (continued) this.continueFrom(continued);
  }

  /** Open the mask painter. */
  async paintMask() {
    byId("advanced").open = true;
    const { photo, others, continued } = this.#source;
    if (!photo || others.length || continued) return this.fail(strings.maskNeedsPhoto);
    const { id, picture } = photo;
    const loaded = await withDialogs(import("./mask.js"), "painting.css").catch(() => null);
    if (!loaded) return this.fail(strings.notLoaded);
    const blob = await loaded.paintMask(picture);
    if (blob && this.#source.photo?.id === id) this.#source.setMask({ id: newId(), blob });
    this.#changed();
  }

  /** @returns {Asked | null} */
  #asked() {
    const model = byId("model");
    const prompt = this.#prompt.value.trim();
    const { photo, others, mask, continued, product } = this.#source;
    if (!photo && !continued) return this.#refuse(strings.needPhoto, byId("photo"));
    const { missing, painted, aspect } = this.#canvas;
    if (missing) return this.#refuse(missing.text, missing.field);
    if (painted && !prompt) return this.#refuse(strings.needPrompt, this.#prompt);
    if (painted && !model.value) return this.#refuse(strings.needModel, model);
    const longest = this.#limits.max_prompt_chars ?? Infinity;
    if (prompt.length > longest) return this.#refuse(strings.promptTooLong(longest), this.#prompt);
    const images = byId("images");
    if (!images.checkValidity()) {
      return this.#refuse(strings.imagesRange(Number(images.max) || 1), images);
    }
    const preserve = byId("preserve").value;
    // A result or no product at all go before what was found or marked.
    const found = continued || preserve === "false";
    const cutout = found ? null : product.cutout;
    return {
      recipe: {
        ...(painted
          ? { prompt, model: model.value, numImages: images.valueAsNumber || 4, ...advancedRecipe() }
          : { numImages: 1 }),
        preserveProduct: preserve,
        ...this.#canvas.recipe(),
        ...(cutout && { cutout }),
      },
      modelName: painted ? model.selectedOptions[0].textContent : strings.plain,
      aspect,
      wishes: [...(continued?.wishes ?? []), this.#canvas.wish],
      photo: continued ? null : photo,
      others: continued ? [] : others,
      mask: continued ? null : mask,
      continued,
      cutting: found || cutout || others.length ? undefined : product.found(),
    };
  }

  /** @param {boolean} sent whether the prompt was sent */
  #afterwards(sent) {
    this.fail("");
    if (sent) this.#prompt.value = "";
    if (this.#replaced) {
      byId("images").value = this.#replaced.images;
      byId("seed").value = "";
      this.#replaced = null;
    }
    // What stays set stays in sight.
    byId("advanced").open = advancedSet() || this.#source.mask !== null;
    byId("picture").open = this.#canvas.set;
  }

  /**
   * @param {string} text
   * @param {HTMLElement} field
   */
  #refuse(text, field) {
    this.fail(text);
    field.focus();
    return null;
  }

  /** @param {string} idea */
  #take(idea) {
    this.#prompt.value = idea;
    this.fail("");
    this.#changed();
    this.focus();
  }
}
