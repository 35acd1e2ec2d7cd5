/**
 * Where the service lays a product on a canvas: its rules, in `docs/api.md` under "Canvas and
 * place", so that what is shown before is what comes out.
 *
 * Of each pair the first is across, the second down. Lengths are pixels.
 *
 * @module
 */

const MARGIN = 0.05;
/** The least room that the service gives a product, and the most padding that it takes. */
const LEAST_ROOM = 8;
const MOST_PADDING = 0.49;

/**
 * A product in its photo.
 * @typedef {Object} Measured
 * @property {[number, number]} photo its size
 * @property {[number, number]} start where the product's box begins
 * @property {[number, number]} length of the box
 * @property {[[boolean, boolean], [boolean, boolean]]} cut whether the photo's border cuts it, at
 *   the low and at the high side
 *
 * What is asked for, as in a recipe.
 * @typedef {Object} Wish
 * @property {[number, number] | null} size
 * @property {number | null} aspect
 * @property {number | null} padding
 * @property {string | null} position a word, or `X,Y`
 *
 * @typedef {Object} Lying
 * @property {[number, number]} sides the canvas
 * @property {number} scale pixels of the canvas for one of the photo's
 * @property {[number, number]} begin where the box begins on the canvas
 */

/**
 * Measure a product.
 * @param {ImageData} cutOut
 * @param {boolean} opaque whether its photo has no transparency
 * @returns {Measured | null} null where there is none
 */
export function measure({ width, height, data }, opaque) {
  let [left, top, right, bottom] = [width, height, -1, -1];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (data[4 * (y * width + x) + 3] < 16) continue;
      left = Math.min(left, x);
      right = Math.max(right, x);
      top = Math.min(top, y);
      bottom = y;
    }
  }
  if (right < 0) return null;
  const [wide, high] = [right - left + 1, bottom - top + 1];
  const isCut = (/** @type {number} */ from, /** @type {number} */ by, /** @type {number} */ count,
    /** @type {number} */ side) => {
    let [run, longest] = [0, 0];
    for (let place = 0; place < count; place++) {
      run = data[4 * (from + place * by) + 3] >= 128 ? run + 1 : 0;
      longest = Math.max(longest, run);
    }
    return longest >= Math.max(3, 0.02 * side);
  };
  const full = [wide === width, high === height];
  const trimmed = opaque ? full[0] && full[1] : full[0] || full[1];
  return {
    photo: [width, height],
    start: [left, top],
    length: [wide, high],
    cut: trimmed ? [[false, false], [false, false]] : [
      [isCut(0, width, height, high), isCut(width - 1, width, height, high)],
      [isCut(0, 1, width, wide), isCut((height - 1) * width, 1, width, wide)],
    ],
  };
}

/**
 * @param {Measured} product
 * @param {Wish} wish
 * @returns {Lying}
 */
export function place(product, { size, aspect, padding, position }) {
  const { photo, start, length, cut } = product;
  if (!size && !aspect && padding === null && position === null) {
    return { sides: photo, scale: 1, begin: start };
  }
  const sides = size ?? (aspect ? shaped(product, aspect) : photo);
  const shorter = Math.min(...sides);
  const free = (padding ?? 0) * shorter;
  const middle = position?.includes(",") ? position.split(",").map(Number) : null;
  const wishes = wishesOf(position);
  const axes = /** @type {const} */ ([0, 1]);
  const stays = axes.map((axis) =>
    ["low", "high"].map((side, end) =>
      cut[axis][end] && (wishes[axis] === null || wishes[axis] === side)));
  const room = (/** @type {0 | 1} */ axis, /** @type {number} */ margin) =>
    [stays[axis][0] ? 0 : margin, sides[axis] - (stays[axis][1] ? 0 : margin)];
  const reach = axes.map((axis) => {
    if (middle) {
      const at = middle[axis] * sides[axis];
      return 2 * Math.min(at - free, sides[axis] - free - at);
    }
    const fits = length[0] <= sides[0] && length[1] <= sides[1];
    if (padding === null && fits) return length[axis];
    const [low, high] = room(axis, padding === null ? MARGIN * shorter : free);
    return high - low;
  });
  const largest = Math.min(reach[0] / length[0], reach[1] / length[1]);
  const scale = padding === null ? Math.min(1, largest) : largest;
  const begin = axes.map((axis) => {
    const long = length[axis] * scale;
    if (middle) return middle[axis] * sides[axis] - long / 2;
    if (padding === null && position === null) {
      const beside = photo[axis] - length[axis];
      return (sides[axis] - long) * (beside ? start[axis] / beside : 0.5);
    }
    const [low, high] = room(axis, free);
    let side = wishes[axis];
    if (side === null && stays[axis][0] !== stays[axis][1]) side = stays[axis][0] ? "low" : "high";
    if (side === "low") return low;
    return side === "high" ? high - long : (low + high - long) / 2;
  });
  return { sides, scale, begin: [begin[0], begin[1]] };
}

/**
 * Where it lies at the end of a conversation: of what is not asked for anew, all stays as it was.
 * @param {Measured} product
 * @param {Wish[]} wishes of one image after the other
 * @returns {Lying}
 */
export function placeLast(product, wishes) {
  const nothing = { size: null, aspect: null, padding: null, position: null };
  return wishes.reduce((before, wish) => {
    const { size, aspect, padding, position } = wish;
    if (!size && !aspect && padding === null && position === null) return before;
    return place(product, { ...wish, size: size ?? (aspect ? null : before.sides) });
  }, place(product, nothing));
}

/**
 * The fields with which the service lays a box there, as near as it can.
 * @param {Measured} product
 * @param {[number, number]} sides of the canvas
 * @param {number} scale
 * @param {[number, number]} middle of the box; it is moved so that the box lies inside
 * @returns {{position: string, padding: number}}
 */
export function fieldsFor({ length }, sides, scale, middle) {
  const shorter = Math.min(...sides);
  let padding = MOST_PADDING;
  const shares = sides.map((side, axis) => {
    const half = Math.min(side, length[axis] * scale) / 2;
    const at = Math.min(side - half, Math.max(half, middle[axis]));
    const beside = Math.min(at, side - at);
    padding = Math.min(padding, (beside - half) / shorter, (beside - LEAST_ROOM / 2) / shorter);
    return Math.round((at / side) * 1e4) / 1e4;
  });
  // Rounded down: a place at the border leaves nothing for more.
  return { position: shares.join(","), padding: Math.floor(Math.max(0, padding) * 1e4) / 1e4 };
}

/**
 * The canvas of a shape that holds the product with the room it has in the photo.
 * @param {Measured} product
 * @param {number} aspect
 * @returns {[number, number]}
 */
function shaped({ photo, start, length }, aspect) {
  const most = MARGIN * Math.min(...photo);
  const [across, down] = photo.map((whole, axis) =>
    length[axis] + Math.min(start[axis], most)
      + Math.min(whole - start[axis] - length[axis], most));
  const high = Math.max(Math.min(photo[1], photo[0] / aspect), down, across / aspect);
  return [Math.max(1, Math.round(high * aspect)), Math.max(1, Math.round(high))];
}

/**
 * @param {string | null} position
 * @returns {("low" | "middle" | "high" | null)[]}
 */
function wishesOf(position) {
  if (position === null) return [null, null];
  if (position === "center" || position.includes(",")) return ["middle", "middle"];
  /** @type {(low: string, high: string) => "low" | "high" | null} */
  const named = (low, high) =>
    position.includes(low) ? "low" : position.includes(high) ? "high" : null;
  return [named("left", "right"), named("top", "bottom")];
}
