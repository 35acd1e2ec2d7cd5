/**
 * Paints a mask over a photo: white where the product is, black elsewhere.
 *
 * @module
 */

import { painter, show } from "./dialogs.js";
import { button, element } from "./dom.js";
import { readPicture } from "./pictures.js";
import { strings } from "./later_strings.js";
import { StrokeSurface } from "./strokes.js";

/**
 * Let somebody paint a mask.
 * @param {import("./pictures.js").Picture} photo
 * @returns {Promise<Blob | null>} a PNG of the photo's size; null where it was given up
 */
export function paintMask(photo) {
  return new Promise((resolve) => new Painter(photo, resolve));
}

class Painter {
  #photo;
  #photoUrl;
  #surface;
  /** @type {Blob | null} */
  #result = null;

  /**
   * @param {import("./pictures.js").Picture} photo
   * @param {(mask: Blob | null) => void} resolve
   */
  constructor(photo, resolve) {
    this.#photo = photo;
    this.#photoUrl = URL.createObjectURL(photo.file);
    this.said = element("p", { role: "alert" });
    const quiet = () => (this.said.textContent = "");
    this.#surface = new StrokeSurface(photo, { paint: "white", erase: "black" }, 35, quiet);
    this.dialog = this.#build();
    show(this.dialog, () => {
      URL.revokeObjectURL(this.#photoUrl);
      resolve(this.#result);
    });
  }

  #build() {
    const upload = element("input", {
      id: "mask-file",
      class: "visually-hidden",
      type: "file",
      accept: "image/png,image/jpeg,image/webp",
      onchange: () => this.#upload(upload.files[0]),
    });
    const surface = this.#surface.over("", element("img", { src: this.#photoUrl, alt: "" }));
    const tools = [
      ...this.#surface.tools(),
      button(strings.clearMask, () => this.#surface.clear()),
      upload,
      element("label", { for: "mask-file", class: "button" }, strings.uploadMask),
    ];
    return painter("", strings.maskTitle, strings.maskHelp, surface, tools, this.said,
      button(strings.useMask, () => this.#use(), { class: "primary" }),
      button(strings.cancel, () => this.dialog.close()));
  }

  async #use() {
    const { width, height } = this.#surface.canvas;
    /** @type {ImageData} */
    const { data } = this.#surface.canvas.getContext("2d").getImageData(0, 0, width, height);
    if (!data.some((value, place) => place % 4 === 3 && value > 0)) {
      this.said.textContent = strings.emptyMask;
      return;
    }
    this.#result = await this.#surface.picture("paint", this.#photo);
    this.dialog.close();
  }

  /** @param {File} file */
  async #upload(file) {
    const mask = file && (await readPicture(file));
    const { width, height } = this.#photo;
    if (!mask) {
      this.said.textContent = strings.notAPicture(file?.name ?? "");
    } else if (mask.width !== width || mask.height !== height) {
      this.said.textContent = strings.maskSize(width, height);
    } else {
      this.#result = file;
      this.dialog.close();
    }
  }
}
