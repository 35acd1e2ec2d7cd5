/**
 * The product on a small canvas of the chosen shape, where it is dragged and scaled.
 *
 * It shows what the service does with the composer's fields, and sets those fields.
 *
 * @module
 */

import { button, element } from "./dom.js";
import { fieldsFor, measure, placeLast } from "./placing.js";
import { strings } from "./later_strings.js";

/** How far an arrow key moves, as a share of the canvas; with Shift it is more. */
const STEP = 0.01;
const FAR = 0.1;
const ARROWS = /** @type {Record<string, [number, number]>} */ ({
  ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1],
});
const FACTOR = 1.08;
const SMALLEST = 10;

/** @typedef {{position: string, padding: number}} Placed */

/** The canvas with its slider. */
export class Placement {
  #gallery;
  #placed;
  /** @type {string | null} the picture that is measured */
  #url = null;
  /** @type {import("./placing.js").Measured | null} */
  #product = null;
  /** @type {import("./placing.js").Lying} */
  #lying = /** @type {any} */ (null);
  /** @type {Map<number, [number, number]>} fingers, or the mouse, in pixels of the window */
  #pointers = new Map();

  /**
   * @param {HTMLElement} host which it fills
   * @param {import("./pictures.js").Gallery} gallery
   * @param {(placed: Placed | null) => void} placed somebody moved it; null gives its place back
   */
  constructor(host, gallery, placed) {
    this.#gallery = gallery;
    this.#placed = placed;
    this.host = host;
    this.picture = element("img", { alt: "", draggable: "false" });
    this.box = element("div", { class: "box" });
    this.stage = element("div", {
      class: "canvas",
      tabindex: 0,
      role: "application",
      "aria-label": strings.placeLabel,
      "aria-describedby": "place-said",
      onkeydown: (/** @type {KeyboardEvent} */ event) => this.#typed(event),
      onpointerdown: (/** @type {PointerEvent} */ event) => this.#pressed(event),
      onpointermove: (/** @type {PointerEvent} */ event) => this.#moved(event),
      onlostpointercapture: (/** @type {PointerEvent} */ { pointerId }) =>
        this.#pointers.delete(pointerId),
    }, this.picture, this.box);
    this.stage.addEventListener("wheel", (/** @type {WheelEvent} */ event) => {
      event.preventDefault();
      this.#scale(FACTOR ** (-event.deltaY / (event.deltaMode ? 3 : 100)));
    }, { passive: false });
    this.slider = element("input", {
      type: "range",
      min: SMALLEST,
      max: 100,
      step: "any",
      oninput: () => this.#scale((this.slider.valueAsNumber / 100) * this.#fit / this.#lying.scale),
    });
    this.said = element("p", { id: "place-said", class: "hint", role: "status" });
    host.replaceChildren(
      this.stage,
      element(
        "div",
        { class: "beside" },
        element("p", { class: "hint" }, strings.placeHelp),
        element("label", {}, element("span", {}, strings.placeSize), this.slider),
        button(strings.placeReset, () => placed(null)),
        this.said,
      ),
    );
  }

  /**
   * Show where a product will lie.
   * @param {import("./source.js").Kept} product
   * @param {import("./placing.js").Wish} wish
   * @param {string | null} colour of the background, where it has one
   * @throws {Error} the picture cannot be had
   */
  async show({ url, photo, wishes }, wish, colour) {
    if (url !== this.#url) {
      this.#url = url;
      this.#product = null;
      const product = await measured(await this.#gallery.blob(url), photo);
      if (url !== this.#url) return;
      this.#product = product;
      this.#gallery.show(this.picture, url);
    }
    this.host.hidden = !this.#product;
    if (!this.#product) return;
    this.#wish = wish;
    this.#before = wishes;
    this.stage.style.background = colour ?? "";
    this.#draw();
  }

  #wish = /** @type {import("./placing.js").Wish} */ (/** @type {any} */ (null));
  /** @type {import("./placing.js").Wish[]} of the images that it continues */
  #before = [];

  #draw() {
    const product = /** @type {import("./placing.js").Measured} */ (this.#product);
    const { sides, scale, begin } = (this.#lying =
      placeLast(product, [...this.#before, this.#wish]));
    const { start, length, photo } = product;
    this.stage.style.setProperty("--aspect", String(sides[0] / sides[1]));
    /** @type {(part: HTMLElement, from: number[], size: number[]) => void} */
    const lay = ({ style }, from, size) => {
      style.left = `${(from[0] / sides[0]) * 100}%`;
      style.top = `${(from[1] / sides[1]) * 100}%`;
      style.width = `${((size[0] * scale) / sides[0]) * 100}%`;
      style.height = `${((size[1] * scale) / sides[1]) * 100}%`;
    };
    lay(this.picture, begin.map((at, axis) => at - start[axis] * scale), photo);
    lay(this.box, begin, length);
    const size = Math.round((scale / this.#fit) * 100);
    this.slider.value = (scale / this.#fit) * 100;
    this.slider.ariaValueText = strings.percent(size);
    const [x, y] = this.#middle.map((at, axis) => Math.round((at / sides[axis]) * 100));
    const said = strings.placeAt(x, y, size) + (scale > 1.005 ? ` ${strings.placeSoft}` : "");
    if (this.said.textContent !== said) this.said.textContent = said;
  }

  /** The scale at which the box is as large as the canvas. */
  get #fit() {
    const { length } = /** @type {import("./placing.js").Measured} */ (this.#product);
    return Math.min(...this.#lying.sides.map((side, axis) => side / length[axis]));
  }

  /** @returns {[number, number]} of the box, in pixels of the canvas */
  get #middle() {
    const { length } = /** @type {import("./placing.js").Measured} */ (this.#product);
    const { begin, scale } = this.#lying;
    return [begin[0] + (length[0] * scale) / 2, begin[1] + (length[1] * scale) / 2];
  }

  /**
   * Lay it elsewhere or larger.
   * @param {[number, number]} by shares of the canvas
   * @param {number} [factor]
   */
  #move(by, factor = 1) {
    const { sides, scale } = this.#lying;
    const wanted = Math.min(this.#fit, Math.max((this.#fit * SMALLEST) / 100, scale * factor));
    const [x, y] = this.#middle;
    const product = /** @type {import("./placing.js").Measured} */ (this.#product);
    const placed = fieldsFor(product, sides, wanted, [x + by[0] * sides[0], y + by[1] * sides[1]]);
    this.#wish = { ...this.#wish, ...placed };
    this.#draw();
    this.#placed(placed);
  }

  /** @param {number} factor */
  #scale(factor) {
    this.#move([0, 0], factor);
  }

  /** @param {KeyboardEvent} event */
  #typed(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const arrow = ARROWS[event.key];
    const factor = { "+": FACTOR, "=": FACTOR, "-": 1 / FACTOR, "−": 1 / FACTOR }[event.key];
    const step = event.shiftKey ? FAR : STEP;
    if (arrow) this.#move([arrow[0] * step, arrow[1] * step]);
    else if (factor) this.#scale(factor);
    else return;
    event.preventDefault();
  }

  /** @param {PointerEvent} event */
  #pressed(event) {
    if (event.button !== 0) return;
    this.stage.setPointerCapture(event.pointerId);
    this.#pointers.set(event.pointerId, [event.clientX, event.clientY]);
  }

  /** @param {PointerEvent} event */
  #moved({ pointerId, clientX, clientY }) {
    const before = this.#pointers.get(pointerId);
    if (!before) return;
    const other = [...this.#pointers].find(([id]) => id !== pointerId)?.[1];
    const now = /** @type {[number, number]} */ ([clientX, clientY]);
    this.#pointers.set(pointerId, now);
    const { width, height } = this.stage.getBoundingClientRect();
    // Of two fingers each brings half of the way.
    const part = other ? 0.5 : 1;
    const distance = (/** @type {number[]} */ [x, y]) =>
      other ? Math.max(1, Math.hypot(x - other[0], y - other[1])) : 1;
    this.#move([((now[0] - before[0]) / width) * part, ((now[1] - before[1]) / height) * part],
      distance(now) / distance(before));
  }
}

/**
 * @param {Blob} cutOut
 * @param {Blob | null} photo null where it is not here any more; then it is taken for opaque
 */
async function measured(cutOut, photo) {
  const pixels = await pixelsOf(cutOut);
  let opaque = !photo || photo.type === "image/jpeg";
  if (photo && !opaque) {
    const { data } = await pixelsOf(photo, pixels);
    opaque = true;
    for (let place = 3; place < data.length && opaque; place += 4) opaque = data[place] === 255;
  }
  return measure(pixels, opaque);
}

/**
 * @param {Blob} file
 * @param {{width: number, height: number}} [size] its own if absent
 */
async function pixelsOf(file, size) {
  const bitmap = await createImageBitmap(file);
  const { width, height } = size ?? bitmap;
  const context = /** @type {OffscreenCanvasRenderingContext2D} */ (
    new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true }));
  context.drawImage(bitmap, 0, 0, width, height);
  bitmap.close();
  return context.getImageData(0, 0, width, height);
}
