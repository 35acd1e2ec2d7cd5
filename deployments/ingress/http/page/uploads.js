/**
 * Makes pictures that somebody chose into ones that the service takes, or says why not.
 *
 * @module
 */

import { readPicture } from "./pictures.js";
import { strings } from "./later_strings.js";

/** Bytes of a request beside its photo, at most: a mask, a prompt. */
const BESIDE = 2 ** 20;
const MEGAPIXEL = 1_000_000;
/** Photos that are chosen at once. */
const MOST_PHOTOS = 50;

/** @typedef {Record<string, number | null>} Limits as of the catalog; what is absent is not known */

/**
 * @param {File[]} files
 * @param {Limits} limits
 * @param {(text: string) => void} say tells of the wait
 * @returns {Promise<{pictures: import("./pictures.js").Picture[], wrong: string, done: string}>}
 *   those that can be used, in their order; `wrong` is why the others cannot, `done` what was done
 *   to these
 */
export async function admittedAll(files, limits, say) {
  const several = files.length > 1;
  if (files.length > MOST_PHOTOS) {
    return { pictures: [], wrong: strings.tooManyPhotos(files.length, MOST_PHOTOS), done: "" };
  }
  if (several) say(strings.readingPhotos(files.length));
  /** @type {import("./pictures.js").Picture[]} */
  const pictures = [];
  const texts = { wrong: [""], done: [""] };
  for (const file of files) {
    const { picture, said } = await admitted(file, limits);
    if (picture) pictures.push(picture);
    if (said) texts[picture ? "done" : "wrong"].push(several ? strings.ofFile(file.name, said) : said);
  }
  const [wrong, done] = [texts.wrong, texts.done].map((all) => all.join(" ").trim());
  return { pictures, wrong, done };
}

/**
 * @param {File} file
 * @param {Limits} limits
 * @returns {Promise<{picture: import("./pictures.js").Picture | null, said: string}>} no picture
 *   where it cannot be used; `said` is why, or what was done to it
 */
async function admitted(file, limits) {
  const { max_aspect, max_pixels, max_side, max_body_bytes } = known(limits);
  const picture = await readPicture(file);
  if (!picture) {
    const heic = /\.(heic|heif)$/i.test(file.name) || /hei[cf]/.test(file.type);
    return { picture: null, said: heic ? strings.heic(file.name) : strings.notAPicture(file.name) };
  }
  const { width, height } = picture;
  if (Math.max(width / height, height / width) > max_aspect) {
    return { picture: null, said: strings.tooLong(max_aspect) };
  }
  const scale = Math.min(
    1,
    Math.sqrt(max_pixels / (width * height)),
    max_side / Math.max(width, height),
  );
  const taken = /^image\/(png|jpeg|webp)$/.test(file.type);
  if (scale === 1 && taken && file.size + BESIDE <= max_body_bytes) {
    return { picture, said: "" };
  }
  const smaller = await redrawn(picture, scale, max_body_bytes);
  if (!smaller || smaller.file.size + BESIDE > max_body_bytes) {
    return { picture: null, said: strings.tooLarge };
  }
  const megapixels = Math.round((smaller.width * smaller.height) / MEGAPIXEL);
  return { picture: smaller, said: scale < 1 || taken ? strings.reduced(megapixels) : strings.converted };
}

/**
 * A picture as WebP, which keeps its transparency; smaller until it fits.
 * @param {import("./pictures.js").Picture} picture
 * @param {number} scale
 * @param {number} max_body_bytes
 */
async function redrawn({ file, width, height }, scale, max_body_bytes) {
  for (let attempt = 0; attempt < 4; attempt++, scale *= 0.7) {
    const size = {
      width: Math.max(1, Math.floor(width * scale)),
      height: Math.max(1, Math.floor(height * scale)),
    };
    const options = /** @type {ImageBitmapOptions} */ ({
      resizeWidth: size.width, resizeHeight: size.height, resizeQuality: "high",
    });
    const bitmap = await createImageBitmap(file, options).catch(() => null);
    if (!bitmap) return null;
    const canvas = new OffscreenCanvas(size.width, size.height);
    canvas.getContext("2d")?.drawImage(bitmap, 0, 0);
    bitmap.close();
    const blob = await canvas.convertToBlob({ type: "image/webp", quality: 0.95 });
    if (blob.size + BESIDE <= max_body_bytes) {
      return { file: new File([blob], file.name, { type: blob.type }), ...size };
    }
  }
  return null;
}

/**
 * @param {Limits} limits
 */
function known(limits) {
  /** @type {(name: string) => number} */
  const most = (name) => limits[name] ?? Infinity;
  return {
    max_aspect: most("max_aspect"),
    max_pixels: most("max_pixels"),
    max_side: most("max_side"),
    max_body_bytes: most("max_body_bytes"),
  };
}
