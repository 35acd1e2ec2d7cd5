/**
 * A canvas over a picture, on which strokes are drawn with a mouse, a pen or a finger.
 *
 * What was drawn is a list of strokes. So each can be undone, and a picture of them has any size
 * however small the canvas is shown.
 *
 * @module
 */

import { button, element } from "./dom.js";
import { strings } from "./later_strings.js";

/** The longer side of the canvas that is painted on, in pixels. */
const CANVAS_SIDE = 1024;
/** Brush diameters, as shares of the longer side. */
const THINNEST = 0.01;
const THICKEST = 0.25;

/** How far a press may move and still be a click, in pixels of the window. */
const CLICK_PX = 4;
/** Points that are told at most, and their diameter, as a share of the longer side. */
const MOST_POINTS = 32;
const POINT = 0.02;

/**
 * One movement of the brush, in the canvas's pixels; `clear` wipes all before it, `point` is a click.
 * @typedef {{kind: string, width: number, points: [number, number][]}} Stroke
 */

/** The canvas, the brush's size, and the strokes. */
export class StrokeSurface {
  /** @type {Stroke[]} */
  strokes = [];
  #colours;
  #drawn;
  #pointing;
  kind;

  /**
   * @param {{width: number, height: number}} picture
   * @param {Record<string, string>} colours by the kinds of strokes; `erase` takes them away
   * @param {number} brush size at first, 1 to 100
   * @param {() => void} [drawn] a stroke has ended, or was taken back
   * @param {string} [pointing] the kind of which a click is a point, and not a stroke
   */
  constructor(picture, colours, brush, drawn = () => {}, pointing = "") {
    this.#colours = pointing ? { ...colours, point: colours[pointing] } : colours;
    this.#drawn = drawn;
    this.#pointing = pointing;
    this.kind = Object.keys(colours)[0];
    const scale = Math.min(1, CANVAS_SIDE / Math.max(picture.width, picture.height));
    this.canvas = element("canvas", {
      width: Math.max(1, Math.round(picture.width * scale)),
      height: Math.max(1, Math.round(picture.height * scale)),
      role: "img",
      "aria-label": strings.canvasLabel,
      onpointerdown: (/** @type {PointerEvent} */ event) => this.#start(event),
      onpointermove: (/** @type {PointerEvent} */ event) => this.#go(event),
      onpointerup: () => this.#end(),
    });
    this.brush = element("input", { type: "range", min: 1, max: 100, value: brush });
  }

  /** The brush's size with its name, and a button for each kind of stroke. */
  tools() {
    const kinds = Object.keys(this.#colours).filter((kind) => kind !== "point").map((kind) =>
      button(strings.strokes[kind], () => {
        this.kind = kind;
        for (const other of kinds) other.ariaPressed = String(other.matches(`.kind-${kind}`));
      }, { class: `kind-${kind}`, "aria-pressed": String(kind === this.kind) }));
    return [
      element("label", {}, element("span", {}, strings.brush), this.brush),
      ...kinds,
      button(strings.undo, () => this.undo()),
    ];
  }

  /**
   * The canvas over what lies under it.
   * @param {string} kind its class
   * @param {...HTMLElement} under
   * @returns {HTMLElement}
   */
  over(kind, ...under) {
    const surface = element("div", { class: `surface ${kind}` }, ...under, this.canvas);
    surface.style.setProperty("--aspect", String(this.canvas.width / this.canvas.height));
    return surface;
  }

  /** Whether anything of a kind is there to see. */
  has(/** @type {string} */ kind) {
    return this.strokes.some((stroke) => stroke.kind === kind && stroke.points.length > 0);
  }

  /** @returns {[number, number][]} the points that are in sight, as shares of width and height */
  get points() {
    const { width, height } = this.canvas;
    return this.strokes.flatMap(({ kind, points: [place] }, at) => {
      const hidden = () => this.strokes.slice(at + 1).some((later) => covers(later, place));
      return kind !== "point" || hidden() ? [] : [[place[0] / width, place[1] / height]];
    });
  }

  clear() {
    this.#add("clear");
    this.#drawn();
  }

  undo() {
    this.strokes.pop();
    this.draw();
    this.#drawn();
  }

  draw() {
    const context = this.canvas.getContext("2d");
    context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    drawStrokes(context, this.strokes, this.#colours);
  }

  /**
   * The strokes of a kind in white on black.
   * @param {string} kind
   * @param {{width: number, height: number}} size
   * @returns {Promise<Blob>} a PNG
   */
  async picture(kind, { width, height }) {
    const drawn = new OffscreenCanvas(this.canvas.width, this.canvas.height);
    const colours = { [kind]: "white" };
    drawStrokes(context2d(drawn), this.strokes, colours);
    const whole = new OffscreenCanvas(width, height);
    const context = context2d(whole);
    context.fillStyle = "black";
    context.fillRect(0, 0, width, height);
    context.drawImage(drawn, 0, 0, width, height);
    return whole.convertToBlob({ type: "image/png" });
  }

  /** @param {PointerEvent} event */
  #start(event) {
    if (event.button !== 0) return;
    event.preventDefault();
    this.canvas.setPointerCapture(event.pointerId);
    this.#add(this.kind).points.push(this.#point(event));
    this.draw();
  }

  /** @param {PointerEvent} event */
  #go(event) {
    if (!this.canvas.hasPointerCapture(event.pointerId)) return;
    this.strokes.at(-1)?.points.push(this.#point(event));
    this.draw();
  }

  #end() {
    const stroke = this.strokes.at(-1);
    const side = Math.max(this.canvas.width, this.canvas.height);
    const near = (CLICK_PX * this.canvas.width) / this.canvas.clientWidth;
    if (stroke?.kind === this.#pointing && this.points.length < MOST_POINTS
      && stroke.points.every(([x, y]) =>
        Math.hypot(x - stroke.points[0][0], y - stroke.points[0][1]) <= near)) {
      Object.assign(stroke, { kind: "point", width: POINT * side, points: [stroke.points[0]] });
      this.draw();
    }
    this.#drawn();
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

  /** @param {string} kind */
  #add(kind) {
    const share = THINNEST * (THICKEST / THINNEST) ** (this.brush.valueAsNumber / 100);
    const width = share * Math.max(this.canvas.width, this.canvas.height);
    /** @type {Stroke} */
    const stroke = { kind, width, points: [] };
    this.strokes.push(stroke);
    this.draw();
    return stroke;
  }
}

/**
 * Whether a stroke of the brush lies over a place.
 * @param {Stroke} stroke
 * @param {[number, number]} place
 */
function covers({ kind, width, points }, [x, y]) {
  return kind !== "point" && points.some(([ax, ay], at) => {
    const [bx, by] = points[at + 1] ?? [ax, ay];
    const square = (bx - ax) ** 2 + (by - ay) ** 2;
    const share = square && ((x - ax) * (bx - ax) + (y - ay) * (by - ay)) / square;
    const along = Math.min(1, Math.max(0, share));
    return Math.hypot(x - ax - along * (bx - ax), y - ay - along * (by - ay)) <= width / 2 + 1;
  });
}

/**
 * @param {OffscreenCanvas} canvas
 * @returns {OffscreenCanvasRenderingContext2D}
 */
function context2d(canvas) {
  return /** @type {OffscreenCanvasRenderingContext2D} */ (canvas.getContext("2d"));
}

/**
 * @param {CanvasRenderingContext2D | OffscreenCanvasRenderingContext2D} context empty
 * @param {Stroke[]} strokes
 * @param {Record<string, string>} colours of the kinds that are drawn; any other but `erase` and
 *   `clear` covers what it lies over
 */
function drawStrokes(context, strokes, colours) {
  context.lineCap = "round";
  context.lineJoin = "round";
  for (const { kind, width, points } of strokes) {
    if (kind === "clear") {
      context.clearRect(0, 0, context.canvas.width, context.canvas.height);
      continue;
    }
    if (points.length === 0) continue;
    const shown = kind !== "erase" && kind in colours;
    context.globalCompositeOperation = shown ? "source-over" : "destination-out";
    context.strokeStyle = context.fillStyle = shown ? colours[kind] : "black";
    context.lineWidth = width;
    context.beginPath();
    for (const point of points) context.lineTo(...point);
    context.stroke();
    // Of a click there is no line.
    context.beginPath();
    context.arc(...points[0], width / 2, 0, 2 * Math.PI);
    context.fill();
    context.globalCompositeOperation = "source-over";
  }
}
