/**
 * The dialog of a cut-out: the product on a checkerboard or over its photo, and strokes that correct
 * it.
 *
 * @module
 */

import { BackdropError } from "./client.js";
import { painter, show } from "./dialogs.js";
import { announce, button, element } from "./dom.js";
import { sentence, strings } from "./later_strings.js";
import { StrokeSurface } from "./strokes.js";

/** Milliseconds after a stroke before the service is asked: the next may follow at once. */
const PAUSE_MS = 350;
/** The longer side of the strokes that are sent, in pixels. */
const SENT_SIDE = 1024;

/**
 * @param {import("./client.js").BackdropClient} client
 * @param {import("./pictures.js").Gallery} gallery
 * @param {import("./pictures.js").Picture} photo
 * @param {import("./client.js").CutOut | null} found null where no product was found
 * @returns {Promise<import("./client.js").CutOut | null>} the cut-out that shall be used; null
 *   leaves all as it is
 */
export function correctCutOut(client, gallery, photo, found) {
  return new Promise((resolve) => new Correction(client, gallery, photo, found, resolve));
}

class Correction {
  #client;
  #gallery;
  #photo;
  #found;
  #cut;
  #surface;
  #asking = new AbortController();
  /** @type {number | undefined} */
  #timer;

  /**
   * @param {import("./client.js").BackdropClient} client
   * @param {import("./pictures.js").Gallery} gallery
   * @param {import("./pictures.js").Picture} photo
   * @param {import("./client.js").CutOut | null} found
   * @param {(cut: import("./client.js").CutOut | null) => void} resolve
   */
  constructor(client, gallery, photo, found, resolve) {
    this.#client = client;
    this.#gallery = gallery;
    this.#photo = photo;
    this.#found = this.#cut = found;
    const colours = { keep: "#23d18b", remove: "#ff4d4f" };
    this.#surface = new StrokeSurface(photo, colours, 25, () => this.#changed(), "keep");
    this.product = element("img", { class: "product", alt: strings.productAlt });
    this.photoUrl = URL.createObjectURL(photo.file);
    this.said = element("ul", { class: "notes", role: "status" });
    this.failed = element("p", { class: "failure", role: "alert" });
    this.dialog = this.#build();
    show(this.dialog, () => {
      clearTimeout(this.#timer);
      this.#asking.abort();
      URL.revokeObjectURL(this.photoUrl);
      resolve(this.dialog.returnValue === "use" ? this.#cut : null);
    });
    this.#show();
  }

  #build() {
    const under = element("img", { class: "under", src: this.photoUrl, alt: "" });
    const surface = this.#surface.over("board", under, this.product);
    const over = element("input", {
      type: "checkbox",
      checked: true,
      onchange: () => surface.classList.toggle("alone", !over.checked),
    });
    this.use = button(strings.useCutOut, () => this.dialog.close("use"), { class: "primary" });
    const tools = [
      ...this.#surface.tools(),
      element("label", {}, over, element("span", {}, strings.overPhoto)),
    ];
    return painter("cutout", strings.cutOutTitle, strings.cutOutHelp, surface, tools,
      element("div", {}, this.said, this.failed), this.use, button(strings.cancel, () => this.dialog.close()));
  }

  #changed() {
    clearTimeout(this.#timer);
    this.#asking.abort();
    this.#timer = setTimeout(() => this.#ask(), PAUSE_MS);
  }

  /** Ask for a cut-out that follows all strokes; without any it is the one that was found. */
  async #ask() {
    const asking = (this.#asking = new AbortController());
    const kinds = ["keep", "remove"].filter((kind) => this.#surface.has(kind));
    const { points } = this.#surface;
    if (kinds.length === 0 && points.length === 0) {
      this.#cut = this.#found;
      return this.#show();
    }
    this.#say([strings.correcting]);
    this.use.disabled = true;
    const scale = Math.min(1, SENT_SIDE / Math.max(this.#photo.width, this.#photo.height));
    const size = {
      width: Math.round(this.#photo.width * scale),
      height: Math.round(this.#photo.height * scale),
    };
    const from = this.#found
      ? { cutout: this.#found.cutout }
      : { image: this.#photo.file };
    /** @type {Record<string, Blob>} */
    const hints = {};
    for (const kind of kinds) hints[kind] = await this.#surface.picture(kind, size);
    try {
      const cut = await this.#client.cutOut(
        { ...from, ...hints, ...(points.length && { points }) }, { signal: asking.signal });
      if (asking !== this.#asking) return;
      this.#cut = cut;
      this.#show();
      announce(strings.corrected);
    } catch (error) {
      if (asking !== this.#asking) return;
      if (!(error instanceof BackdropError)) throw error;
      this.use.disabled = this.#cut === null;
      this.#say([]);
      this.failed.textContent = sentence(error.message);
    }
  }

  #show() {
    this.use.disabled = this.#cut === null;
    if (this.#cut) this.#gallery.show(this.product, this.#cut.imageUrl);
    else this.product.removeAttribute("src");
    this.#say(this.#cut ? this.#cut.warnings.map(sentence) : [strings.noProductYet]);
  }

  /** @param {string[]} texts */
  #say(texts) {
    this.failed.textContent = "";
    this.said.replaceChildren(...texts.map((text) => element("li", {}, text)));
  }
}
