/**
 * Keeps the conversation in this browser: turns, and the photos and masks they were made from.
 *
 * Everything is also held in memory. Where the browser keeps nothing (some private windows), the
 * conversation lasts as long as the page.
 *
 * @module
 */

/** Turns that are kept; the oldest go first. */
const MOST_TURNS = 60;

/**
 * @typedef {Object} Result an image that was made
 * @property {string} url
 * @property {number | null} seed null where no model painted it
 * @property {import("./client.js").Fidelity} fidelity
 *
 * @typedef {Object} Turn
 * @property {string} id
 * @property {number} created milliseconds since 1970
 * @property {import("./client.js").Recipe} recipe
 * @property {string} modelName
 * @property {string | null} photo id of the photo in the pictures, also of a variation's first one
 * @property {string | null} mask id of a mask in the pictures
 * @property {string | null} imageUrl the image that a variation starts from
 * @property {number} aspect width over height of what the images start from
 * @property {"running" | "finished" | "failed" | "cancelled" | "interrupted"} status
 * @property {(Result | null)[]} results
 * @property {string[]} warnings
 * @property {(string | undefined)[]} absent why there is no image, by its index
 * @property {{text: string, advice: string, requestId: string | null} | null} failure
 * @property {number} tookS seconds it took; 0 while it runs
 */

/** An id that is new. */
export function newId() {
  return crypto.getRandomValues(new Uint32Array(4)).join("-");
}

/** The conversation of one service. */
export class History {
  /** @type {IDBDatabase | null} */
  #database = null;
  /** @type {Map<string, Turn>} */
  #turns = new Map();
  /** @type {Map<string, {blob: Blob, url: string | null}>} */
  #pictures = new Map();
  #name;

  /** @param {string} name of the service, so that several on one host stay apart */
  constructor(name) {
    this.#name = name;
  }

  /**
   * Read what an earlier visit left.
   * @returns {Promise<boolean>} whether this browser keeps anything
   */
  async open() {
    try {
      const opening = indexedDB.open(this.#name, 1);
      opening.onupgradeneeded = () => {
        opening.result.createObjectStore("turns", { keyPath: "id" });
        opening.result.createObjectStore("pictures");
      };
      const database = await settled(opening);
      const stores = database.transaction(["turns", "pictures"]);
      const [turns, ids, blobs] = await Promise.all([
        settled(stores.objectStore("turns").getAll()),
        settled(stores.objectStore("pictures").getAllKeys()),
        settled(stores.objectStore("pictures").getAll()),
      ]);
      turns.sort((one, other) => one.created - other.created);
      for (const turn of turns) this.#turns.set(turn.id, turn);
      ids.forEach((id, index) => this.#pictures.set(String(id), { blob: blobs[index], url: null }));
      this.#database = database;
      return true;
    } catch {
      return false;
    }
  }

  /** All turns, oldest first. */
  turns() {
    return [...this.#turns.values()];
  }

  /**
   * Keep a turn as it is now.
   * @param {Turn} turn
   */
  save(turn) {
    this.#turns.set(turn.id, turn);
    this.#write("turns", (store) => store.put(turn));
    const surplus = this.turns().slice(0, -MOST_TURNS);
    for (const { id } of surplus) {
      this.#turns.delete(id);
      this.#write("turns", (store) => store.delete(id));
    }
    if (surplus.length) this.#dropUnused();
  }

  /**
   * Keep a photo or a mask.
   * @param {string} id
   * @param {Blob} blob
   */
  savePicture(id, blob) {
    if (this.#pictures.has(id)) return;
    this.#pictures.set(id, { blob, url: null });
    this.#write("pictures", (store) => store.put(blob, id));
  }

  /**
   * A photo or a mask, if it is here.
   * @param {string | null} id
   */
  picture(id) {
    return (id !== null && this.#pictures.get(id)?.blob) || null;
  }

  /**
   * Its address for this page, if it is here.
   * @param {string | null} id
   */
  pictureUrl(id) {
    const kept = id === null ? undefined : this.#pictures.get(id);
    if (!kept) return null;
    kept.url ??= URL.createObjectURL(kept.blob);
    return kept.url;
  }

  /** Forget everything. */
  clear() {
    this.#turns.clear();
    this.#dropUnused();
    this.#write("turns", (store) => store.clear());
  }

  #dropUnused() {
    const used = new Set(this.turns().flatMap(({ photo, mask }) => [photo, mask]));
    for (const [id, { url }] of this.#pictures) {
      if (used.has(id)) continue;
      if (url) URL.revokeObjectURL(url);
      this.#pictures.delete(id);
      this.#write("pictures", (store) => store.delete(id));
    }
  }

  /**
   * @param {"turns" | "pictures"} name
   * @param {(store: IDBObjectStore) => IDBRequest} change
   */
  #write(name, change) {
    if (!this.#database) return;
    try {
      const transaction = this.#database.transaction(name, "readwrite");
      // A full disk, for one: what is on the page stays complete.
      transaction.onabort = () => (this.#database = null);
      change(transaction.objectStore(name));
    } catch {
      this.#database = null;
    }
  }
}

/**
 * A database request as a promise.
 * @template T
 * @param {IDBRequest<T>} request
 * @returns {Promise<T>}
 */
function settled(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
