/**
 * The line of this page's own requests: one is at the service, the others wait here in their order.
 *
 * @module
 */

/** The line. */
export class Line {
  /** @type {{go: () => void, moved: (place: number) => void}[]} */
  #all = [];
  /** How many requests of others are before the first one of this page. */
  #before = 0;

  /**
   * Wait for one's turn.
   * @param {(place: number) => void} moved is told the place while it waits, from 2 on
   * @param {AbortSignal} signal leaves the line
   * @returns {Promise<() => void>} lets the next one go, and may be called again
   */
  enter(moved, signal) {
    return new Promise((resolve) => {
      const leave = () => {
        const place = this.#all.indexOf(one);
        if (place < 0) return;
        this.#all.splice(place, 1);
        if (place === 0) {
          this.#before = 0;
          this.#all[0]?.go();
        }
        this.#tell();
      };
      const one = { go: () => resolve(leave), moved };
      signal.addEventListener("abort", () => {
        leave();
        resolve(leave);
      });
      this.#all.push(one);
      if (this.#all.length === 1) one.go();
      else this.#tell();
    });
  }

  /**
   * The first one waits at the service.
   * @param {number} place there, from 1 on
   */
  behind(place) {
    this.#before = place - 1;
    this.#tell();
  }

  #tell() {
    this.#all.slice(1).forEach(({ moved }, index) => moved(this.#before + index + 2));
  }
}
