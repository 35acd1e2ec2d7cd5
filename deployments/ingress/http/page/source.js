/**
 * What the next turn starts from: a photo with its product or a mask, or an image that is continued.
 *
 * @module
 */

import { byId } from "./dom.js";
import { Product } from "./product.js";
import { strings } from "./strings.js";

/** @typedef {{id: string, picture: import("./pictures.js").Picture}} Photo */
/** @typedef {{id: string, blob: Blob}} Mask */

/** The source, as the composer shows it. */
export class Source {
  #gallery;
  #changed;
  /** @type {Photo | null} */
  photo = null;
  /** @type {Mask | null} */
  mask = null;
  /** @type {import("./composer.js").Continued | null} */
  continued = null;
  /** @type {string | null} */
  #photoUrl = null;

  /**
   * @param {import("./client.js").BackdropClient} client
   * @param {import("./pictures.js").Gallery} gallery
   * @param {Object} told
   * @param {() => void} told.needKey asks for an API key
   * @param {(text: string) => void} told.fail says what is wrong
   * @param {() => void} told.changed it is another
   * @param {() => void} told.left what had the focus is taken away
   */
  constructor(client, gallery, { needKey, fail, changed, left }) {
    this.#gallery = gallery;
    this.#changed = changed;
    this.product = new Product(client, gallery, { needKey, fail, changed });
    const without = (/** @type {string} */ chip, /** @type {() => void} */ leave) => {
      byId(chip).querySelector("button").onclick = () => {
        leave();
        changed();
        left();
      };
    };
    without("chosen", () => this.drop());
    without("continuing", () => this.continueFrom(null));
    without("mask-set", () => {
      this.setMask(null);
      if (this.photo) this.product.find(this.photo.picture);
    });
    this.#show();
  }

  /** The product that a photo's result will keep; null where that is not known, or none is. */
  get kept() {
    const keeps = !this.continued && byId("preserve").value !== "false";
    return keeps ? this.product.picture : null;
  }

  /**
   * Start from a photo.
   * @param {Photo} photo
   * @param {Mask | null} mask
   * @param {string} [cutout] the id of a cut-out of its product, where one was made
   */
  put(photo, mask, cutout) {
    this.drop();
    const { file } = photo.picture;
    this.photo = photo;
    this.#photoUrl = URL.createObjectURL(file);
    byId("chosen").querySelector("img").src = this.#photoUrl;
    byId("chosen").title = byId("chosen").querySelector("span").textContent =
      file.name || strings.pasted;
    this.setMask(mask);
    this.continueFrom(null);
    if (mask === null) this.product.find(photo.picture, cutout);
  }

  /**
   * Start from an image, or again from the photo.
   * @param {import("./composer.js").Continued | null} continued
   */
  continueFrom(continued) {
    this.continued = continued;
    if (continued) {
      this.setMask(null);
      this.#gallery.show(byId("continuing").querySelector("img"), continued.url);
      byId("continuing").querySelector("span").textContent = strings.continues(continued.label);
    }
    this.#show();
    this.#changed();
  }

  /** There is no photo any more. */
  drop() {
    if (this.#photoUrl) URL.revokeObjectURL(this.#photoUrl);
    this.photo = null;
    this.#photoUrl = null;
    this.product.leave();
    this.setMask(null);
    this.#show();
  }

  /** @param {Mask | null} mask */
  setMask(mask) {
    this.mask = mask;
    byId("mask-set").hidden = mask === null;
    if (mask) this.product.leave();
  }

  #show() {
    byId("continuing").hidden = this.continued === null;
    byId("chosen").hidden = this.photo === null || this.continued !== null;
    byId("product").classList.toggle("elsewhere", this.continued !== null);
    byId("photo-hint").hidden = this.photo !== null || this.continued !== null;
  }
}
