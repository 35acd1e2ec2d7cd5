/**
 * Loads what the page shows only after a click, so that it is there sooner itself.
 *
 * @module
 */

import { element } from "./dom.js";

/** @type {Map<string, Promise<void>>} */
const sheets = new Map();

/**
 * A module, once the styles of dialogs are there as well.
 * @template T
 * @param {Promise<T>} module
 * @param {...string} more styles of its own
 * @returns {Promise<T>}
 * @throws {Error} the service cannot be reached
 */
export async function withDialogs(module, ...more) {
  const [loaded] = await Promise.all([module, ...["dialogs.css", ...more].map(sheet)]);
  return loaded;
}

/** @param {string} name */
function sheet(name) {
  const known = sheets.get(name);
  if (known) return known;
  const loading = new Promise((/** @type {(nothing: void) => void} */ resolve, reject) => {
    const link = element("link", {
      rel: "stylesheet",
      href: `playground/${name}`,
      onload: () => resolve(),
      onerror: () => {
        link.remove();
        sheets.delete(name);
        reject(new Error(name));
      },
    });
    document.head.append(link);
  });
  sheets.set(name, loading);
  return loading;
}
