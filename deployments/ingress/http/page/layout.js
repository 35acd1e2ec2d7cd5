/**
 * How large images are shown: as large as all of a turn's fit into the window.
 *
 * @module
 */

import { byId } from "./dom.js";

/** Below this width images stand in two columns, however high they get. */
const NARROW_PX = 640;
const GAP_PX = 10;
/** What stands above a turn's images: its prompt and its state. */
const HEAD_PX = 84;

/**
 * What a turn's images may take of the window.
 * @typedef {{width: number, height: number}} Room
 */

/**
 * Measure the room. The browser lays out the page for it, so many turns are fitted to one measure.
 * @returns {Room}
 */
export function room() {
  const width = byId("conversation").clientWidth;
  return { width, height: width < NARROW_PX ? Infinity : freeHeight() };
}

/**
 * Give a grid the columns with which its tiles are largest.
 * @param {HTMLElement} grid
 * @param {number} count tiles
 * @param {number} aspect of a tile, width over height
 * @param {Room} room
 */
export function fit(grid, count, aspect, { width, height }) {
  if (!width || !count) return;
  const most = width < NARROW_PX ? Math.min(count, 2) : count;
  let best = { columns: most, tile: 0 };
  for (let columns = 1; columns <= most; columns++) {
    const rows = Math.ceil(count / columns);
    const wide = (width - (columns - 1) * GAP_PX) / columns;
    const high = (height - (rows - 1) * GAP_PX) / rows;
    const tile = Math.floor(Math.min(wide, Math.max(high, 96) * aspect));
    if (tile > best.tile) best = { columns, tile };
  }
  if (width < NARROW_PX) best = { columns: most, tile: (width - (most - 1) * GAP_PX) / most };
  grid.style.setProperty("--columns", String(best.columns));
  grid.style.setProperty("--tile", `${best.tile}px`);
}

/** How wide a tile is drawn, in the screen's own pixels. */
export function tilePixels(/** @type {HTMLElement} */ grid) {
  return (parseFloat(grid.style.getPropertyValue("--tile")) || 512) * devicePixelRatio;
}

/** What the header and the composer leave of the window. */
function freeHeight() {
  const header = /** @type {HTMLElement} */ (document.querySelector("header"));
  return innerHeight - header.offsetHeight - byId("composer").offsetHeight - HEAD_PX;
}
