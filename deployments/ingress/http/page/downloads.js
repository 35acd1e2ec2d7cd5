/**
 * Downloads of results: one or all of a turn, as they were made or in another format.
 *
 * @module
 */

import { button, element } from "./dom.js";
import { strings } from "./later_strings.js";

/** Formats by the endings of files. */
const FORMATS = /** @type {Record<string, string>} */ ({
  png: "image/png",
  jpg: "image/jpeg",
  webp: "image/webp",
});
const QUALITY = 0.92;

/** What was chosen last. */
let chosen = "";

/**
 * The controls of a result's download.
 * @param {import("./pictures.js").Gallery} gallery
 * @param {{url: string, seed: number | null}[]} results of the turn
 * @param {{url: string, seed: number | null}} result the one that is shown
 * @param {(text: string, wrong?: boolean) => void} say
 * @returns {{download: HTMLElement, all: HTMLElement, format: HTMLElement}}
 */
export function downloads(gallery, results, result, say) {
  const own = endingOf(result.url);
  const format = element(
    "select",
    { onchange: () => (chosen = format.value) },
    element("option", { value: "" }, strings.asMade(own)),
    ...Object.keys(FORMATS).filter((ending) => ending !== own).map((ending) =>
      element("option", { value: ending }, strings.formats[ending])),
  );
  format.value = chosen === own ? "" : chosen;
  const link = element("a", {
    class: "button",
    href: result.url,
    download: nameOf(result, own),
  }, strings.download);
  link.addEventListener("click", async (/** @type {Event} */ event) => {
    // A browser saves by itself what is of this origin and open to all; the rest is fetched.
    if (!format.value && !gallery.mustFetch(result.url)) return;
    event.preventDefault();
    const blob = await fileOf(gallery, result, format.value).catch(() => null);
    if (blob) save(blob, nameOf(result, format.value || own));
    else say(strings.notSaved, true);
  });
  const all = button(strings.downloadAll(results.length), async () => {
    say(strings.packing);
    try {
      const { zip } = await import("./zip.js");
      /** @type {{name: string, blob: Blob}[]} */
      const files = [];
      for (const one of results) {
        const name = nameOf(one, format.value || endingOf(one.url));
        const taken = files.some((file) => file.name === name);
        const blob = await fileOf(gallery, one, format.value);
        files.push({ name: taken ? `${files.length + 1}-${name}` : name, blob });
      }
      save(await zip(files), "backdrop.zip");
      say("");
    } catch {
      say(strings.notSaved, true);
    }
  }, { hidden: results.length < 2 });
  return {
    download: link,
    all,
    format: element("label", {}, element("span", {}, strings.fileFormat), format),
  };
}

/**
 * A result's file.
 * @param {import("./pictures.js").Gallery} gallery
 * @param {{url: string}} result
 * @param {string} ending of the format; empty for that of the result
 * @returns {Promise<Blob>}
 * @throws {Error} it cannot be had
 */
async function fileOf(gallery, { url }, ending) {
  const made = await gallery.blob(url);
  if (!ending || ending === endingOf(url)) return made;
  const { withXmp, xmpOf } = await import("./marking.js");
  const bitmap = await createImageBitmap(made);
  const size = { width: bitmap.width, height: bitmap.height };
  const canvas = new OffscreenCanvas(size.width, size.height);
  const context = /** @type {OffscreenCanvasRenderingContext2D} */ (canvas.getContext("2d"));
  if (ending === "jpg") {
    // It has no transparency: white is what shops put behind.
    context.fillStyle = "white";
    context.fillRect(0, 0, size.width, size.height);
  }
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  const type = FORMATS[ending];
  const blob = await canvas.convertToBlob({ type, quality: QUALITY });
  // A browser that cannot write a format writes PNG.
  if (blob.type !== type) throw new Error(type);
  const xmp = xmpOf(new Uint8Array(await made.arrayBuffer()));
  if (!xmp) return blob;
  return new Blob([withXmp(new Uint8Array(await blob.arrayBuffer()), xmp, size)], { type });
}

/** @param {string} url */
const endingOf = (url) => /\.(\w+)(?:\?|$)/.exec(url)?.[1] ?? "png";

/**
 * @param {{seed: number | null}} result
 * @param {string} ending
 */
const nameOf = ({ seed }, ending) => `backdrop${seed === null ? "" : `-${seed}`}.${ending}`;

/**
 * @param {Blob} blob
 * @param {string} name
 */
function save(blob, name) {
  const href = URL.createObjectURL(blob);
  element("a", { href, download: name }).click();
  // The browser has begun with it by then.
  setTimeout(() => URL.revokeObjectURL(href), 60_000);
}
