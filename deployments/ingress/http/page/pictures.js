/**
 * Pictures on the page: reads those a person gives, and shows those the service made.
 *
 * The photo itself is uploaded as it was given, unless the service would not take it: see `uploads`.
 *
 * @module
 */

/** The widths of smaller copies that the service makes, in pixels. */
const COPY_WIDTHS = [128, 256, 512, 1024];

/**
 * A picture that was given, and its size after its EXIF orientation.
 * @typedef {{file: File, width: number, height: number}} Picture
 */

/**
 * Read a picture's size.
 * @param {File} file
 * @returns {Promise<Picture | null>} null where it is no picture
 */
export async function readPicture(file) {
  const bitmap = await createImageBitmap(file).catch(() => null);
  if (!bitmap) return null;
  const { width, height } = bitmap;
  bitmap.close();
  return { file, width, height };
}

/**
 * The files of a drop or a paste.
 * @param {DataTransfer | null} transfer
 */
export function filesOf(transfer) {
  return [...(transfer?.files ?? [])];
}

/**
 * Where images can be read only with a key, which an `img` cannot send, they are fetched with it.
 */
export class Gallery {
  /** @type {string | null} */
  #apiKey = null;
  /** @type {Map<string, string>} */
  #fetched = new Map();

  /** @param {string | null} key */
  setApiKey(key) {
    this.#apiKey = key;
  }

  /**
   * Show a result, or a photo of this page.
   * @param {HTMLImageElement} image
   * @param {string} url
   * @param {() => void} [gone] called where it cannot be had
   * @param {number} [width] pixels that it is shown with, where a smaller copy is enough
   */
  show(image, url, gone = () => {}, width = Infinity) {
    if (url.startsWith("blob:")) {
      image.onerror = gone;
      image.src = url;
      return;
    }
    url = copyOf(url, width);
    const fetched = async () => {
      image.onerror = gone;
      const blob = this.#apiKey === null ? null : await this.blob(url).catch(() => null);
      if (blob === null) return gone();
      if (!this.#fetched.has(url)) this.#fetched.set(url, URL.createObjectURL(blob));
      image.src = /** @type {string} */ (this.#fetched.get(url));
    };
    image.onerror = fetched;
    const known = this.#fetched.get(url);
    // Where one had to be fetched, the others have to be as well.
    if (known === undefined && this.#fetched.size > 0 && isOwn(url)) fetched();
    else image.src = known ?? url;
  }

  /**
   * Whether a browser cannot save a result by its address alone.
   * @param {string} url
   */
  mustFetch(url) {
    return (this.#fetched.size > 0 && this.#apiKey !== null) || !isOwn(url);
  }

  /**
   * A result's bytes.
   * @param {string} url
   * @returns {Promise<Blob>}
   * @throws {Error} it cannot be had
   */
  async blob(url) {
    // The key is the service's: another host that serves its images does not learn it.
    /** @type {HeadersInit} */
    const headers = isOwn(url) && this.#apiKey ? { Authorization: `Bearer ${this.#apiKey}` } : {};
    const response = await fetch(url, { headers });
    if (!response.ok) throw new Error(`status ${response.status}`);
    return response.blob();
  }
}

/**
 * The address of the smallest copy of a result that is wide enough; its own where none is.
 * @param {string} url
 * @param {number} width in pixels
 */
function copyOf(url, width) {
  const enough = COPY_WIDTHS.find((copy) => copy >= width);
  return enough === undefined || !/\/generated\/[^/?]+$/.test(url) ? url : `${url}?width=${enough}`;
}

/** @param {string} url */
function isOwn(url) {
  return new URL(url, location.href).origin === location.origin;
}
