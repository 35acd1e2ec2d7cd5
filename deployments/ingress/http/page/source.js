/**
 * What the next turn starts from: a photo with its product or a mask, several photos of which each
 * starts a conversation of its own, or an image that is continued.
 *
 * @module
 */

import { byId } from "./dom.js";
import { newId } from "./history.js";
import { readPicture } from "./pictures.js";
import { cutOutUrl, Product } from "./product.js";
import { strings } from "./strings.js";

/** @typedef {{id: string, picture: import("./pictures.js").Picture}} Photo */
/** @typedef {{id: string, blob: Blob}} Mask */

/**
 * A product that the next image will keep.
 * @typedef {Object} Kept
 * @property {string} url its cut-out
 * @property {Blob | null} photo what that was cut out of, if it is here
 * @property {import("./placing.js").Wish[]} wishes where the images that are continued had it
 */

/** The source, as the composer shows it. */
export class Source {
  #gallery;
  #picture;
  #changed;
  #fail;
  #tell;
  /** @type {Photo | null} */
  photo = null;
  /** @type {Photo[]} the further photos of a batch */
  others = [];
  /** What was chosen last. */
  #choosing = {};
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
   * @param {(id: string | null) => Blob | null} told.picture of earlier turns, by its id
   * @param {() => void} told.needKey asks for an API key
   * @param {(text: string) => void} told.fail says what is wrong
   * @param {(text: string) => void} told.tell says what was done, which is no failure
   * @param {() => void} told.changed it is another
   * @param {() => void} told.left what had the focus is taken away
   */
  constructor(client, gallery, { picture, needKey, fail, tell, changed, left }) {
    this.#gallery = gallery;
    this.#picture = picture;
    this.#changed = changed;
    this.#fail = fail;
    this.#tell = tell;
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

  /** @returns {Kept | null} the product; null where none is known, or none is kept */
  get kept() {
    if (byId("preserve").value === "false") return null;
    if (!this.continued) return this.product.picture && { ...this.product.picture, wishes: [] };
    const { cutout, wishes, photo } = this.continued;
    return cutout && wishes
      ? { url: cutOutUrl(cutout), photo: this.#picture(photo), wishes }
      : null;
  }

  /** Why the product cannot be laid on the small canvas; empty where it can, or there is none. */
  get unplaced() {
    return this.continued && !this.kept ? strings.notPlaced : "";
  }

  /**
   * Start from files that somebody chose, and say what is wrong with them or was done to them.
   * @param {File[]} files
   * @param {import("./uploads.js").Limits} limits
   * @param {{id?: string, mask?: Mask | null, cutout?: string}} [known] of a single one
   * @returns {Promise<boolean>} whether it starts from them
   */
  async choose(files, limits, { id = newId(), mask = null, cutout } = {}) {
    const choosing = (this.#choosing = {});
    const loaded = await import("./uploads.js").catch(() => null);
    if (!loaded) this.#fail(strings.notLoaded);
    const found = await loaded?.admittedAll(files, limits, this.#tell);
    // Whoever chose something else meanwhile wants that.
    if (!found || choosing !== this.#choosing) return false;
    const photos = found.pictures.map((picture, place) =>
      ({ id: place === 0 ? id : newId(), picture }));
    if (photos.length) this.put(photos, mask, cutout);
    this.#fail(found.wrong);
    this.#tell(found.done);
    return photos.length > 0;
  }

  /**
   * Start from a photo, or from several, whose products the service finds when it makes them.
   * @param {Photo[]} photos one or more
   * @param {Mask | null} mask of a single one
   * @param {string} [cutout] the id of a cut-out of its product, where one was made
   */
  put([photo, ...others], mask, cutout) {
    this.drop();
    const { file } = photo.picture;
    this.photo = photo;
    this.others = others;
    this.#photoUrl = URL.createObjectURL(file);
    const chip = byId("chosen");
    const words = chip.querySelector("span");
    const several = others.length > 0;
    chip.querySelector("img").src = this.#photoUrl;
    chip.querySelector("button").ariaLabel = several ? strings.removePhotos : strings.removePhoto;
    words.className = several ? "" : "visually-hidden";
    words.textContent = several ? strings.photos(others.length + 1) : file.name || strings.pasted;
    chip.title = [photo, ...others].map(({ picture }) => picture.file.name || strings.pasted)
      .join(", ");
    this.setMask(mask, cutout);
    this.continueFrom(null);
    if (mask === null && !several) this.product.find(photo.picture, cutout);
  }

  /**
   * Start from a draft's photos, those of them that are still here.
   * @param {import("./history.js").Draft} draft
   * @param {import("./history.js").History} history
   */
  async restore({ photo, photoName, others = [], mask, cutout }, history) {
    const photos = [];
    for (const { id, name } of [{ id: photo, name: photoName }, ...others]) {
      const blob = history.picture(id);
      const picture = blob && (await readPicture(new File([blob], name, blob)));
      if (picture && id !== null) photos.push({ id, picture });
    }
    const masked = history.picture(mask);
    const known = mask && masked ? { id: mask, blob: masked } : null;
    if (photos.length) this.put(photos, known, cutout ?? undefined);
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
    this.photo = this.#photoUrl = null;
    this.others = [];
    this.#choosing = {};
    this.product.leave();
    this.setMask(null);
    this.#show();
  }

  /**
   * @param {Mask | null} mask
   * @param {string} [cutout] the id of the cut-out that was made by it
   */
  setMask(mask, cutout) {
    this.mask = mask;
    byId("mask-set").hidden = mask === null;
    if (mask && this.photo) this.product.find(this.photo.picture, cutout, mask.blob);
  }

  #show() {
    byId("continuing").hidden = this.continued === null;
    byId("chosen").hidden = this.photo === null || this.continued !== null;
    byId("product").classList.toggle("elsewhere", this.continued !== null);
    byId("photo-hint").hidden = this.photo !== null || this.continued !== null;
  }
}
