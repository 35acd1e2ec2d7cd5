/**
 * Keeps conversations in this browser: their turns and drafts, and the photos and masks of both.
 *
 * Everything is also held in memory. Where the browser keeps nothing (some private windows), or no
 * more (a full disk), the conversations last as long as the page.
 *
 * @module
 */

/** Turns that are kept; the oldest go first, but those with favourites. */
const MOST_TURNS = 240;

/**
 * @typedef {Object} Result an image that was made
 * @property {string} url
 * @property {number | null} seed null where no model painted it
 * @property {import("./client.js").Fidelity} fidelity
 * @property {boolean} [favourite]
 *
 * @typedef {Object} Sent how a turn was sent, so that it can be sent once more and be the same
 * @property {string} key the idempotency key
 * @property {number | null} seed of the first image; null where no model paints
 * @property {string | null} job its id; null until the service has told it
 *
 * @typedef {Object} Turn
 * @property {string} id
 * @property {string} conversation id of the one it belongs to
 * @property {number} created milliseconds since 1970
 * @property {import("./client.js").Recipe} recipe
 * @property {string} modelName
 * @property {string | null} photo id of the photo in the pictures, also of a variation's first one
 * @property {string | null} mask id of a mask in the pictures
 * @property {string | null} imageUrl the image that a variation starts from
 * @property {number} aspect width over height of what the images start from
 * @property {string | null} [cutout] the id of the cut-out of the product that a variation keeps
 * @property {import("./placing.js").Wish[]} [wishes] where the product shall lie, and before that
 *   where it should in the images that are continued; absent of older turns
 * @property {"running" | "finished" | "failed" | "cancelled" | "interrupted"} status `running` also
 *   while it waits
 * @property {Sent | null} [sent] null until it is sent; absent of turns that were no jobs
 * @property {boolean} [cancelling] it was cancelled, and the service does not know that yet
 * @property {(Result | null)[]} results
 * @property {string[]} warnings
 * @property {(string | undefined)[]} absent why there is no image, by its index
 * @property {{text: string, advice: string, requestId: string | null} | null} failure
 * @property {number} tookS seconds it took; 0 while it runs
 *
 * @typedef {Object} Draft what is in the composer
 * @property {Record<string, string>} fields values by the ids of the elements
 * @property {string | null} photo id of the photo in the pictures
 * @property {string} photoName
 * @property {{id: string, name: string}[]} [others] the further photos of a batch
 * @property {string | null} mask id of the mask in the pictures
 * @property {string | null} cutout id of the cut-out of the photo's product
 * @property {string | null} background id of the background picture in the pictures
 * @property {import("./composer.js").Continued | null} continued
 *
 * @typedef {Object} Talk a conversation
 * @property {string} id
 * @property {string} name empty until somebody gives it one
 * @property {number} created milliseconds since 1970
 * @property {number} [place] where it stands in its batch; 0, and absent, is first
 * @property {Draft | null} draft
 */

/** The conversation of turns from before there were several. */
const FIRST = "first";

/** An id that is new. */
export function newId() {
  return crypto.getRandomValues(new Uint32Array(4)).join("-");
}

/** The conversations with one service. */
export class History {
  /** @type {IDBDatabase | null} */
  #database = null;
  /** @type {Map<string, Talk>} */
  #talks = new Map();
  /** @type {Map<string, Turn>} */
  #turns = new Map();
  /** @type {Map<string, {blob: Blob, url: string | null}>} */
  #pictures = new Map();
  /** @type {Promise<unknown>} */
  #written = Promise.resolve();
  #name;
  #full;

  /**
   * @param {string} name of the service, so that several on one host stay apart
   * @param {() => void} full is called when this browser keeps nothing more
   */
  constructor(name, full) {
    this.#name = name;
    this.#full = full;
  }

  /**
   * Read what an earlier visit left.
   * @returns {Promise<boolean>} whether this browser keeps anything
   */
  async open() {
    try {
      const opening = indexedDB.open(this.#name, 2);
      opening.onupgradeneeded = ({ oldVersion }) => {
        const database = opening.result;
        if (oldVersion < 1) {
          database.createObjectStore("turns", { keyPath: "id" });
          database.createObjectStore("pictures");
        }
        database.createObjectStore("talks", { keyPath: "id" });
      };
      const database = await settled(opening);
      // Another tab may bring a newer page.
      database.onversionchange = () => database.close();
      const stores = database.transaction(["talks", "turns", "pictures"]);
      const [talks, turns, ids, blobs] = await Promise.all([
        settled(stores.objectStore("talks").getAll()),
        settled(stores.objectStore("turns").getAll()),
        settled(stores.objectStore("pictures").getAllKeys()),
        settled(stores.objectStore("pictures").getAll()),
      ]);
      for (const talk of talks) this.#talks.set(talk.id, talk);
      turns.sort((one, other) => one.created - other.created);
      for (const turn of turns) {
        turn.conversation ??= FIRST;
        this.#turns.set(turn.id, turn);
        if (!this.#talks.has(turn.conversation)) this.#addTalk(turn.conversation, turn.created);
      }
      ids.forEach((id, index) => this.#pictures.set(String(id), { blob: blobs[index], url: null }));
      this.#database = database;
      this.#dropUnused();
      return true;
    } catch {
      return false;
    }
  }

  /** All conversations, the one that was used last first; those of a batch in its order. */
  talks() {
    const used = new Map([...this.#talks.values()].map(({ id, created }) => [id, created]));
    for (const { conversation, created } of this.#turns.values()) used.set(conversation, created);
    // The turns of a batch are a millisecond apart, the first one the oldest.
    const at = (/** @type {Talk} */ { id, place = 0 }) => (used.get(id) ?? 0) - 2 * place;
    return [...this.#talks.values()].sort((one, other) => at(other) - at(one));
  }

  /**
   * A conversation; it is made where there is none of the id.
   * @param {string} id
   * @returns {Talk}
   */
  talk(id) {
    return this.#talks.get(id) ?? this.#addTalk(id, Date.now());
  }

  /**
   * Keep a conversation's name and draft as they are now.
   * @param {Talk} talk
   */
  saveTalk(talk) {
    this.#talks.set(talk.id, talk);
    return this.#write("talks", (store) => store.put(talk));
  }

  /**
   * The turns of a conversation, oldest first; of all where none is named.
   * @param {string} [talk]
   */
  turns(talk) {
    const all = [...this.#turns.values()];
    return talk === undefined ? all : all.filter(({ conversation }) => conversation === talk);
  }

  /**
   * Keep a turn as it is now.
   * @param {Turn} turn
   * @returns {Promise<void>} when it is kept, or cannot be
   */
  save(turn) {
    this.#turns.set(turn.id, turn);
    const surplus = this.turns()
      .slice(0, -MOST_TURNS)
      .filter(({ results }) => !results.some((result) => result?.favourite));
    for (const { id } of surplus) this.remove(id);
    return this.#write("turns", (store) => store.put(turn));
  }

  /**
   * A turn as it was kept last, perhaps by another tab.
   * @param {string} id
   * @returns {Promise<Turn | undefined>}
   */
  async kept(id) {
    const store = this.#database?.transaction("turns").objectStore("turns");
    return store && settled(store.get(id)).catch(() => undefined);
  }

  /**
   * Keep a turn no longer; its pictures stay until the page is opened again.
   * @param {string} id
   */
  remove(id) {
    this.#turns.delete(id);
    this.#write("turns", (store) => store.delete(id));
  }

  /**
   * Keep a conversation no longer, nor its turns.
   * @param {string} id
   */
  removeTalk(id) {
    for (const turn of this.turns(id)) this.remove(turn.id);
    this.#talks.delete(id);
    this.#write("talks", (store) => store.delete(id));
  }

  /**
   * Keep a photo or a mask.
   * @param {string} id
   * @param {Blob} blob
   * @returns {Promise<void>} when it is kept, or cannot be
   */
  async savePicture(id, blob) {
    if (this.#pictures.has(id)) return;
    this.#pictures.set(id, { blob, url: null });
    await this.#write("pictures", (store) => store.put(blob, id));
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
    this.#talks.clear();
    this.#dropUnused();
    this.#write("turns", (store) => store.clear());
    this.#write("talks", (store) => store.clear());
  }

  /**
   * @param {string} id
   * @param {number} created
   */
  #addTalk(id, created) {
    /** @type {Talk} */
    const talk = { id, name: "", created, draft: null };
    this.#talks.set(id, talk);
    return talk;
  }

  #dropUnused() {
    const used = new Set(this.turns().flatMap(({ photo, mask }) => [photo, mask]));
    for (const { draft } of this.#talks.values()) {
      if (!draft) continue;
      used.add(draft.photo).add(draft.mask).add(draft.background);
      for (const { id } of draft.others ?? []) used.add(id);
      used.add(draft.continued?.photo ?? null);
    }
    for (const [id, { url }] of this.#pictures) {
      if (used.has(id)) continue;
      if (url) URL.revokeObjectURL(url);
      this.#pictures.delete(id);
      this.#write("pictures", (store) => store.delete(id));
    }
  }

  /**
   * @param {"talks" | "turns" | "pictures"} name
   * @param {(store: IDBObjectStore) => IDBRequest} change
   * @returns {Promise<void>} when this is written, and all before it
   */
  async #write(name, change) {
    const written = new Promise((/** @type {(nothing: void) => void} */ resolve) => {
      const lost = () => {
        // What is on the page stays complete.
        if (this.#database) this.#full();
        this.#database = null;
        resolve();
      };
      if (!this.#database) return resolve();
      try {
        const transaction = this.#database.transaction(name, "readwrite");
        transaction.oncomplete = () => resolve();
        transaction.onabort = lost; // a full disk, for one
        change(transaction.objectStore(name));
        // Not left to the page's next moment, which it may not have.
        transaction.commit();
      } catch {
        lost();
      }
    });
    this.#written = Promise.all([this.#written, written]);
    await this.#written;
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
    if (request instanceof IDBOpenDBRequest) request.onblocked = () => reject(request.error);
  });
}
