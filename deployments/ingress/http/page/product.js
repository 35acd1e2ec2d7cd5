/**
 * What is taken for the product: found as soon as there is a photo, shown, and corrected.
 *
 * @module
 */

import { BackdropError } from "./client.js";
import { announce, byId } from "./dom.js";
import { withDialogs } from "./later.js";
import { sentence, strings } from "./strings.js";

/**
 * Where the picture of a cut-out is.
 * @param {string} cutout its id
 */
export function cutOutUrl(cutout) {
  return new URL(`cutouts/${cutout}.png`, document.baseURI).href;
}

/** The product of the composer's photo. */
export class Product {
  #client;
  #gallery;
  #needKey;
  #fail;
  #changed;
  #chip = byId("product");
  /** @type {import("./pictures.js").Picture | null} */
  #photo = null;
  /** @type {import("./client.js").CutOut | null} */
  #cut = null;
  /** The search whose end is shown, and whether a turn waits for it. */
  #looking = { abort: new AbortController(), wanted: false };
  /** @type {Promise<string | null>} */
  #found = Promise.resolve(null);

  /**
   * @param {import("./client.js").BackdropClient} client
   * @param {import("./pictures.js").Gallery} gallery
   * @param {Object} told
   * @param {() => void} told.needKey asks for an API key
   * @param {(text: string) => void} told.fail says what is wrong
   * @param {() => void} told.changed the cut-out is another
   */
  constructor(client, gallery, { needKey, fail, changed }) {
    this.#client = client;
    this.#gallery = gallery;
    this.#needKey = needKey;
    this.#fail = fail;
    this.#changed = changed;
    this.#chip.title = strings.showProduct;
    this.#chip.onclick = () => this.correct();
  }

  /** The id of the cut-out; null where none was found, or not yet. */
  get cutout() {
    return this.#cut?.cutout ?? null;
  }

  /** @returns {Omit<import("./source.js").Kept, "wishes"> | null} */
  get picture() {
    return this.#cut && this.#photo && { url: this.#cut.imageUrl, photo: this.#photo.file };
  }

  /**
   * Wait until the product was looked for, whatever becomes of the composer's photo.
   * @returns {Promise<string | null>} the id of the cut-out; null where none was found
   */
  found() {
    this.#looking.wanted = true;
    return this.#found;
  }

  /**
   * Look for the product of a photo, or cut out what a mask marks.
   * @param {import("./pictures.js").Picture} photo
   * @param {string} [known] the id of a cut-out of it that was made before
   * @param {Blob} [mask]
   */
  find(photo, known, mask) {
    this.leave();
    this.#photo = photo;
    if (known) this.#reuse(photo, known, mask);
    else this.#found = this.#look(photo, mask);
  }

  /**
   * @param {import("./pictures.js").Picture} photo
   * @param {Blob} [mask]
   */
  async #look(photo, mask) {
    this.#show(strings.lookingForProduct);
    const looking = this.#looking;
    try {
      const cut = await this.#client.cutOut(
        { image: photo.file, ...(mask && { productMask: mask }) },
        { signal: looking.abort.signal });
      if (looking === this.#looking) this.#take(cut);
      return cut.cutout;
    } catch (error) {
      if (!(error instanceof BackdropError)) throw error;
      if (looking !== this.#looking) return null;
      if (error.status === 401) this.#needKey();
      // Without a cut-out the service looks again, and says itself what is wrong.
      if (mask && error.status === 400) this.#fail(sentence(error.message));
      if (error.code === "product_not_found") this.#show(strings.noProduct, true);
      else this.#chip.hidden = true;
      return null;
    }
  }

  /** There is no photo, or another. */
  leave() {
    if (!this.#looking.wanted) this.#looking.abort.abort();
    this.#looking = { abort: new AbortController(), wanted: false };
    this.#photo = this.#cut = null;
    this.#found = Promise.resolve(null);
    this.#chip.hidden = true;
  }

  /** Show it large, and let somebody correct it. */
  async correct() {
    const photo = this.#photo;
    if (!photo) return;
    const loaded = await withDialogs(import("./cutout.js"), "painting.css").catch(() => null);
    if (!loaded) return this.#fail(strings.notLoaded);
    const { correctCutOut } = loaded;
    const cut = await correctCutOut(this.#client, this.#gallery, photo, this.#cut);
    if (cut && photo === this.#photo) this.#take(cut);
  }

  /**
   * @param {import("./pictures.js").Picture} photo
   * @param {string} cutout
   * @param {Blob} [mask]
   */
  #reuse(photo, cutout, mask) {
    const { width, height } = photo;
    this.#cut = {
      cutout, width, height, certainty: 1, warnings: [],
      imageUrl: cutOutUrl(cutout),
      maskUrl: new URL(`cutouts/${cutout}-mask.png`, document.baseURI).href,
      box: { left: 0, top: 0, width, height },
    };
    this.#changed();
    this.#show(strings.productFound);
    // It may be too old to be there.
    const gone = () => void (this.#photo === photo && this.find(photo, undefined, mask));
    this.#gallery.show(this.#chip.querySelector("img"), this.#cut.imageUrl, gone);
  }

  /** @param {import("./client.js").CutOut} cut */
  #take(cut) {
    this.#cut = cut;
    this.#changed();
    this.#show(cut.warnings.length ? strings.productDoubtful : strings.productFound,
      cut.warnings.length > 0);
    this.#gallery.show(this.#chip.querySelector("img"), cut.imageUrl);
    announce([strings.productFound, ...cut.warnings.map(sentence)].join(" "));
  }

  /**
   * @param {string} text
   * @param {boolean} [doubtful]
   */
  #show(text, doubtful = false) {
    this.#chip.hidden = false;
    this.#chip.classList.toggle("doubtful", doubtful);
    this.#chip.querySelector("span").textContent = text;
    if (this.#cut === null) this.#chip.querySelector("img").removeAttribute("src");
  }
}
