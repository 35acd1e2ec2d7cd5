/**
 * Makes the picture on a stage larger, and moves it about while it is larger; of several side by
 * side all do the same.
 *
 * @module
 */

const LARGEST = 8;
const STEP = 1.25;
const DOUBLE_CLICK = 2.5;
const ARROW_PX = 60;
/** Milliseconds in which two presses are a double click. */
const TWICE_MS = 500;
const ARROWS = /** @type {Record<string, [number, number]>} */ ({
  ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1],
});

/** The zoom of a stage, whose pictures may be replaced. */
export class Zoom {
  #stage;
  #changed;
  #scale = 1;
  /** @type {[number, number]} how far the middle of the picture is from where it was, in pixels */
  #moved = [0, 0];
  /** @type {Map<number, [number, number]>} fingers, or the mouse, in pixels of the window */
  #pointers = new Map();
  /** Where the comparison stood before a double click or two fingers touched it. */
  #split = { value: "", at: -Infinity };

  /**
   * @param {HTMLElement} stage
   * @param {(scale: number) => void} changed
   */
  constructor(stage, changed) {
    this.#stage = stage;
    this.#changed = changed;
    stage.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.by(STEP ** (-event.deltaY / (event.deltaMode ? 3 : 100)), [event.clientX, event.clientY]);
    }, { passive: false });
    stage.addEventListener("dblclick", (event) => {
      if (/** @type {Element} */ (event.target).matches("button")) return;
      this.#giveSplitBack();
      if (this.zoomed) this.reset();
      else this.by(DOUBLE_CLICK, [event.clientX, event.clientY]);
    });
    stage.addEventListener("pointerdown", (event) => this.#pressed(event));
    stage.addEventListener("pointermove", (event) => this.#go(event));
    for (const end of ["pointerup", "pointercancel"]) {
      stage.addEventListener(end, (event) =>
        this.#pointers.delete(/** @type {PointerEvent} */ (event).pointerId));
    }
    stage.addEventListener("dragstart", (event) => {
      if (this.zoomed) event.preventDefault();
    });
  }

  /** Whether the picture is larger than the stage makes it. */
  get zoomed() {
    return this.#scale > 1;
  }

  /** Show it whole. */
  reset() {
    this.#set(1, [0, 0]);
  }

  /**
   * @param {number} factor
   * @param {[number, number]} [at] what stays in its place, in pixels of the window; the middle
   *   if absent
   */
  by(factor, at) {
    const scale = Math.min(LARGEST, Math.max(1, this.#scale * factor));
    const frame = (at && document.elementFromPoint(...at)?.closest(".cell")) || this.#stage;
    const { left, top, width, height } = frame.getBoundingClientRect();
    const [x, y] = at ? [at[0] - left - width / 2, at[1] - top - height / 2] : [0, 0];
    const part = scale / this.#scale;
    this.#set(scale, [x - (x - this.#moved[0]) * part, y - (y - this.#moved[1]) * part]);
  }

  /**
   * Do what a key stands for.
   * @param {string} key
   * @returns {boolean} whether it stands for something now
   */
  typed(key) {
    const arrow = this.zoomed && ARROWS[key];
    if (arrow) {
      this.#set(this.#scale, [
        this.#moved[0] + arrow[0] * ARROW_PX, this.#moved[1] + arrow[1] * ARROW_PX,
      ]);
    } else if (key === "+" || key === "=") this.by(STEP);
    else if (key === "-" || key === "−") this.by(1 / STEP);
    else if (key === "0") this.reset();
    else return false;
    return true;
  }

  /**
   * @param {number} scale
   * @param {[number, number]} moved
   */
  #set(scale, moved) {
    const pictures = /** @type {HTMLElement[]} */ ([...this.#stage.querySelectorAll(".compare")]);
    const [picture] = pictures;
    const { clientWidth, clientHeight } = /** @type {HTMLElement} */ (picture.parentElement);
    const most = [
      Math.max(0, (picture.offsetWidth * scale - clientWidth) / 2),
      Math.max(0, (picture.offsetHeight * scale - clientHeight) / 2),
    ];
    this.#scale = scale < 1.01 ? 1 : scale;
    const [x, y] = moved.map((far, axis) => Math.min(most[axis], Math.max(-most[axis], far)));
    this.#moved = [x, y];
    const transform = this.zoomed ? `translate(${x}px, ${y}px) scale(${scale})` : "";
    for (const { style } of pictures) style.transform = transform;
    this.#stage.classList.toggle("zoomed", this.zoomed);
    this.#changed(this.#scale);
  }

  /** @param {PointerEvent} event */
  #pressed({ button, pointerId, clientX, clientY, timeStamp, target }) {
    const pressed = /** @type {Element} */ (target);
    if (button !== 0 || pressed.matches("button")) return;
    const slider = this.#stage.querySelector("input");
    if (slider && timeStamp - this.#split.at > TWICE_MS) {
      this.#split = { value: slider.value, at: timeStamp };
    }
    if (this.zoomed) pressed.setPointerCapture(pointerId);
    this.#pointers.set(pointerId, [clientX, clientY]);
  }

  /** @param {PointerEvent} event */
  #go({ pointerId, clientX, clientY }) {
    const before = this.#pointers.get(pointerId);
    if (!before) return;
    this.#pointers.set(pointerId, [clientX, clientY]);
    const other = [...this.#pointers].find(([id]) => id !== pointerId)?.[1];
    if (other) {
      this.#giveSplitBack();
      const far = (/** @type {number} */ x, /** @type {number} */ y) =>
        Math.max(1, Math.hypot(x - other[0], y - other[1]));
      this.by(far(clientX, clientY) / far(...before),
        [(clientX + other[0]) / 2, (clientY + other[1]) / 2]);
    }
    if (!this.zoomed) return;
    const part = other ? 0.5 : 1;
    this.#set(this.#scale, [
      this.#moved[0] + (clientX - before[0]) * part, this.#moved[1] + (clientY - before[1]) * part,
    ]);
  }

  /** What only began a zoom has not moved the comparison. */
  #giveSplitBack() {
    const slider = this.#stage.querySelector("input");
    if (!slider || slider.value === this.#split.value) return;
    slider.value = this.#split.value;
    slider.dispatchEvent(new Event("input"));
  }
}
