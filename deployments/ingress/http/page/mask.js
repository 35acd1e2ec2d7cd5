/**
 * Paints a mask over a photo: white where the product is, black elsewhere.
 *
 * A mask is a list of strokes. So each can be undone, and the result has the photo's own size however
 * small it is shown.
 *
 * @module
 */

import { element } from "./dom.js";
import { readPicture } from "./pictures.js";
import { strings } from "./strings.js";

/** The longer side of the canvas that is painted on, in pixels. */
const CANVAS_SIDE = 1024;
/** Brush diameters, as shares of the longer side. */
const THINNEST = 0.01;
const THICKEST = 0.25;

/**
 * One movement of the brush, in the canvas's pixels; `clear` wipes all before it.
 * @typedef {{kind: "paint" | "erase" | "clear", width: number, points: [number, number][]}} Stroke
 */

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
  /** @type {Stroke[]} */
  #strokes = [];
  /** @type {"paint" | "erase"} */
  #kind = "paint";
  /** @type {Blob | null} */
  #result = null;

  /**
   * @param {import("./pictures.js").Picture} photo
   * @param {(mask: Blob | null) => void} resolve
   */
  constructor(photo, resolve) {
    this.#photo = photo;
    this.#photoUrl = URL.createObjectURL(photo.file);
    const scale = Math.min(1, CANVAS_SIDE / Math.max(photo.width, photo.height));
    this.canvas = element("canvas", {
      width: Math.max(1, Math.round(photo.width * scale)),
      height: Math.max(1, Math.round(photo.height * scale)),
      role: "img",
      "aria-label": strings.canvasLabel,
      onpointerdown: (/** @type {PointerEvent} */ event) => this.#start(event),
      onpointermove: (/** @type {PointerEvent} */ event) => this.#go(event),
    });
    this.brush = element("input", { type: "range", min: 1, max: 100, value: 35 });
    this.said = element("p", { role: "alert" });
    this.dialog = this.#build();
    this.dialog.addEventListener("close", () => {
      URL.revokeObjectURL(this.#photoUrl);
      this.dialog.remove();
      resolve(this.#result);
    });
    document.body.append(this.dialog);
    this.dialog.showModal();
  }

  #build() {
    const button = (text, act, more = {}) =>
      element("button", { type: "button", onclick: act, ...more }, text);
    const kinds = ["paint", "erase"].map((kind) =>
      button(strings[kind], () => {
        this.#kind = /** @type {"paint" | "erase"} */ (kind);
        for (const other of kinds) other.ariaPressed = String(other.textContent === strings[kind]);
      }, { "aria-pressed": String(kind === this.#kind) }));
    const upload = element("input", {
      id: "mask-file",
      class: "visually-hidden",
      type: "file",
      accept: "image/png,image/jpeg,image/webp",
      onchange: () => this.#upload(upload.files[0]),
    });
    const surface = element(
      "div",
      { class: "surface" },
      element("img", { src: this.#photoUrl, alt: "" }),
      this.canvas,
    );
    surface.style.setProperty("--aspect", String(this.canvas.width / this.canvas.height));
    return element(
      "dialog",
      { class: "painter", "aria-labelledby": "mask-title" },
      element("h2", { id: "mask-title" }, strings.maskTitle),
      element("p", { class: "hint" }, strings.maskHelp),
      surface,
      element(
        "div",
        { class: "tools" },
        element("label", {}, element("span", {}, strings.brush), this.brush),
        ...kinds,
        button(strings.undo, () => this.#undo()),
        button(strings.clearMask, () => this.#add("clear")),
        upload,
        element("label", { for: "mask-file", class: "button" }, strings.uploadMask),
      ),
      this.said,
      element(
        "div",
        { class: "actions" },
        button(strings.useMask, () => this.#use(), { class: "primary" }),
        button(strings.cancel, () => this.dialog.close()),
      ),
    );
  }

  /** @param {PointerEvent} event */
  #start(event) {
    if (event.button !== 0) return;
    event.preventDefault();
    this.canvas.setPointerCapture(event.pointerId);
    this.#add(this.#kind).points.push(this.#point(event));
    this.#draw();
  }

  /** @param {PointerEvent} event */
  #go(event) {
    if (!this.canvas.hasPointerCapture(event.pointerId)) return;
    this.#strokes.at(-1)?.points.push(this.#point(event));
    this.#draw();
  }

  /**
   * @param {PointerEvent} event
   * @returns {[number, number]}
   */
  #point(event) {
    const box = this.canvas.getBoundingClientRect();
    const { width, height } = this.canvas;
    return [
      ((event.clientX - box.left) / box.width) * width,
      ((event.clientY - box.top) / box.height) * height,
    ];
  }

  /** @param {Stroke["kind"]} kind */
  #add(kind) {
    const share = THINNEST * (THICKEST / THINNEST) ** (this.brush.valueAsNumber / 100);
    const width = share * Math.max(this.canvas.width, this.canvas.height);
    const stroke = { kind, width, points: [] };
    this.#strokes.push(stroke);
    this.said.textContent = "";
    this.#draw();
    return stroke;
  }

  #undo() {
    this.#strokes.pop();
    this.#draw();
  }

  #draw() {
    const context = this.canvas.getContext("2d");
    context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    drawStrokes(context, this.#strokes);
  }

  /** The strokes in white on black, at the photo's size. */
  async #use() {
    const pixels = this.canvas.getContext("2d")
      .getImageData(0, 0, this.canvas.width, this.canvas.height).data;
    if (!pixels.some((value, place) => place % 4 === 3 && value > 0)) {
      this.said.textContent = strings.emptyMask;
      return;
    }
    const { width, height } = this.#photo;
    const whole = new OffscreenCanvas(width, height);
    const context = /** @type {OffscreenCanvasRenderingContext2D} */ (whole.getContext("2d"));
    context.drawImage(this.canvas, 0, 0, width, height);
    context.globalCompositeOperation = "destination-over";
    context.fillStyle = "black";
    context.fillRect(0, 0, width, height);
    this.#result = await whole.convertToBlob({ type: "image/png" });
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

/**
 * @param {CanvasRenderingContext2D} context empty
 * @param {Stroke[]} strokes
 */
function drawStrokes(context, strokes) {
  context.lineCap = "round";
  context.lineJoin = "round";
  context.strokeStyle = "white";
  for (const { kind, width, points } of strokes) {
    if (kind === "clear") {
      context.clearRect(0, 0, context.canvas.width, context.canvas.height);
      continue;
    }
    if (points.length === 0) continue;
    context.globalCompositeOperation = kind === "erase" ? "destination-out" : "source-over";
    context.lineWidth = width;
    context.beginPath();
    context.moveTo(...points[0]);
    // A line to its own start is a dot.
    for (const point of points) context.lineTo(...point);
    context.stroke();
    context.globalCompositeOperation = "source-over";
  }
}
