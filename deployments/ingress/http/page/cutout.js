/**
 * The dialog of a cut-out: the product on a checkerboard or over its photo, and strokes that correct
 * it.
 *
 * @module
 */

import { BackdropError } from "./client.js";
import { announce, element } from "./dom.js";
import { sentence, strings } from "./strings.js";
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
    this.#surface = new StrokeSurface(photo, colours, 25, () => this.#changed());
    this.product = element("img", { class: "product", alt: strings.productAlt });
    this.photoUrl = URL.createObjectURL(photo.file);
    this.said = element("ul", { class: "notes", role: "status" });
    this.dialog = this.#build();
    this.dialog.addEventListener("close", () => {
      clearTimeout(this.#timer);
      this.#asking.abort();
      URL.revokeObjectURL(this.photoUrl);
      this.dialog.remove();
      resolve(this.dialog.returnValue === "use" ? this.#cut : null);
    });
    document.body.append(this.dialog);
    this.dialog.showModal();
    this.#show();
  }

  #build() {
    const { canvas } = this.#surface;
    const surface = element(
      "div",
      { class: "surface board" },
      element("img", { class: "under", src: this.photoUrl, alt: "" }),
      this.product,
      canvas,
    );
    surface.style.setProperty("--aspect", String(canvas.width / canvas.height));
    const over = element("input", {
      type: "checkbox",
      checked: true,
      onchange: () => surface.classList.toggle("alone", !over.checked),
    });
    this.use = element("button", {
      type: "button",
      class: "primary",
      onclick: () => this.dialog.close("use"),
    }, strings.useCutOut);
    return element(
      "dialog",
      { class: "painter cutout", "aria-labelledby": "cutout-title" },
      element("h2", { id: "cutout-title" }, strings.cutOutTitle),
      element("p", { class: "hint" }, strings.cutOutHelp),
      surface,
      element(
        "div",
        { class: "tools" },
        ...this.#surface.tools(),
        element("label", {}, over, element("span", {}, strings.overPhoto)),
      ),
      this.said,
      element(
        "div",
        { class: "actions" },
        this.use,
        element("button", { type: "button", onclick: () => this.dialog.close() }, strings.cancel),
      ),
    );
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
    if (kinds.length === 0) {
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
    const strokes = {};
    for (const kind of kinds) strokes[kind] = await this.#surface.picture(kind, size);
    try {
      const cut = await this.#client.cutOut({ ...from, ...strokes }, { signal: asking.signal });
      if (asking !== this.#asking) return;
      this.#cut = cut;
      this.#show();
      announce(strings.corrected);
    } catch (error) {
      if (asking !== this.#asking) return;
      if (!(error instanceof BackdropError)) throw error;
      this.use.disabled = this.#cut === null;
      this.#say([sentence(error.message)]);
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
    this.said.replaceChildren(...texts.map((text) => element("li", {}, text)));
  }
}
