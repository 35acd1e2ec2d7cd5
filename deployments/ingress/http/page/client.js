/**
 * Client of Backdrop's HTTP API for web pages: one module without dependencies, made to be copied.
 *
 * It uploads, reads the events of a running request, waits out a busy service, takes a request up
 * again when the connection is lost, and cancels. Jobs go on without the page, which follows them
 * again by their id. It shows nothing and stores nothing: what a page looks like, and where it keeps
 * a key, an id or a result, is the page's matter.
 *
 * @module
 */

/** Seconds of `Retry-After` above which the error is handed on instead of waited out. */
const LONGEST_WAIT_S = 300;
/** Longest pause before a lost connection is tried again; the first is 1 s, the next triple it. */
const LONGEST_PAUSE_S = 30;

/**
 * How true an image is to the product that was kept, both 0 to 1; null where none was kept.
 * @typedef {{pixels: number, shape: number} | null} Fidelity
 *
 * @typedef {Object} Model what `id` names; as the service writes it
 * @property {string} id
 * @property {string} name
 * @property {string} family
 * @property {boolean} demo it has the small weights that are bundled
 * @property {boolean} available a replica is up
 * @property {{steps: number, guidance_scale: number, strength: number}} defaults
 * @property {{steps: number, guidance_scale: number, strength: number}} limits the most
 * @property {{working: number, min_side: number, max_side: number}} sizes in pixels
 * @property {{edit: boolean, inpaint: boolean, control: boolean, negative_prompt: boolean,
 *   loras: boolean, lora: boolean, style_image: boolean}} capabilities
 * @property {string[]} loras what `lora` may name
 * @property {string[]} starter_prompts what it draws well
 *
 * @typedef {Object} Recipe
 * @property {string} [prompt] required for the background `scene`
 * @property {string} [model] an id of `models()`; required as above
 * @property {number} [numImages] the service's default if absent
 * @property {number} [seed] 0 to 4294967295, of the first image; chosen here if absent
 * @property {number} [steps]
 * @property {number} [strength] above 0 to 1
 * @property {number} [guidanceScale] 0 to 30
 * @property {string} [negativePrompt]
 * @property {string} [lora] one of the model's `loras`, or `name:scale`
 * @property {"auto" | "true" | "false"} [preserveProduct]
 * @property {string} [preset] a name of `catalog()`; it fills in what is absent here
 * @property {string} [background] `scene`, `transparent`, `blur`, `image` or `#RRGGBB`
 * @property {Blob} [backgroundImage] with the background `image`
 * @property {string} [size] such as `1000x1000`
 * @property {string} [aspectRatio] such as `4:5`
 * @property {number} [padding] 0 to 0.49
 * @property {string} [productPosition] such as `bottom`, or `0.5,0.75`
 * @property {"none" | "contact" | "cast" | "floating"} [shadow]
 * @property {number} [shadowStrength] 0 to 1
 * @property {number} [harmonize] 0 to 1
 * @property {"png" | "jpeg" | "webp"} [outputFormat]
 * @property {number} [outputQuality] 1 to 100
 * @property {string} [cutout] the id of a cut-out, whose product is kept without a search
 * @property {string} [idempotencyKey] chosen here if absent; with one of the page's own, that it
 *   keeps, the same request gets the same answer even after the page was loaded again. It needs a
 *   seed of the page's own too
 * @property {number} [deadlineS] seconds after which the service gives the request up, waiting
 *   included
 * @property {string} [callbackUrl] of `submit` alone: the address of a server of yours that is told
 *   of the job, among those that the service's operator allows
 *
 * @typedef {Object} Photo
 * @property {Blob} [image] PNG, JPEG or WebP; required but with a `cutout`, which has its photo
 * @property {Blob} [productMask] white where the product is, of the photo's size
 *
 * @typedef {Object} Cut what to cut out, and what corrects it; one of `image`, `imageUrl` and
 *   `cutout` is required
 * @property {Blob} [image] a photo
 * @property {string} [imageUrl] an image that the service made: its first photo is cut again
 * @property {string} [cutout] the id of an earlier cut-out: its photo is cut again
 * @property {Blob} [productMask] as of a photo; not with what follows
 * @property {Blob} [keep] strokes in white on black over what belongs to the product
 * @property {Blob} [remove] strokes over what does not
 * @property {[number, number][]} [points] places in the product: shares of width and height, 0 to 1
 *
 * @typedef {Object} CutOut
 * @property {string} cutout its id, which requests take
 * @property {string} imageUrl the product on transparent ground
 * @property {string} maskUrl white is the product
 * @property {number} width of both, in pixels
 * @property {number} height
 * @property {{left: number, top: number, width: number, height: number}} box what the product covers
 * @property {number} certainty 0 to 1
 * @property {string[]} warnings sentences about what may be wrong with it
 *
 * @typedef {Object} Made how an image was made, as the service writes it
 * @property {string} url
 * @property {string | null} created ISO 8601, UTC
 * @property {string | null} version of the service
 * @property {"upload" | "result"} made_from
 * @property {string} media_type
 * @property {Fidelity} fidelity
 * @property {string | null} scheduler
 * @property {{scale: number, start: number, end: number} | null} control
 * @property {Record<string, string | number | null>} fields of a request that makes it again, under
 *   the service's names
 *
 * @typedef {Object} Page
 * @property {number} [limit] entries of one page, 1 to 100
 * @property {string | null} [cursor] that of the page before; absent for the first
 *
 * @typedef {Object} Listeners
 * @property {AbortSignal} [signal] cancels the call, and with it the work
 * @property {(progress: {index: number, step: number, steps: number}) => void} [onProgress]
 * @property {(image: {index: number, url: string, seed: number | null, fidelity: Fidelity}) => void}
 *   [onImage] each image once, as soon as it can be fetched
 * @property {(wait: {seconds: number, reason: BackdropError}) => void} [onWait] the service is
 *   busy; the call repeats itself after so many seconds
 * @property {(lost: {attempt: number, seconds: number}) => void} [onReconnect] the connection is
 *   lost; the call repeats itself after so many seconds, for the attempt-th time
 * @property {(line: {place: number, expectedSeconds: number | null}) => void} [onPlace] where the
 *   request stands while it waits, from 1 on
 *
 * @typedef {Object} Job as the service writes it
 * @property {string} id what `resume` and `cancel` take
 * @property {"waiting" | "running" | "done" | "failed" | "cancelled"} state
 * @property {number | null} place in the line, from 1 on, while it waits
 * @property {number | null} expected_seconds until it is done, where that is known
 * @property {number} progress 0 to 1
 * @property {{index: number, url: string, seed: number | null}[]} images so far
 * @property {string} prompt
 * @property {string | null} model
 * @property {string} created ISO 8601, UTC
 * @property {string | null} ended the same; null while it waits or runs
 * @property {{status: number, code: string, error: string} | null} failure
 *
 * @typedef {Object} Result every list in the order of the images
 * @property {string[]} images URLs
 * @property {string} modelUsed
 * @property {string} promptUsed
 * @property {(number | null)[]} seeds null where no model painted
 * @property {Fidelity[]} fidelity
 * @property {string[]} warnings sentences about what could not be honoured
 * @property {{index: number, reason: string}[]} withheld made, but kept back by a safety filter
 */

/** Every failure of a call. */
export class BackdropError extends Error {
  /**
   * @param {string} message one sentence
   * @param {Object} facts
   * @param {string} facts.code the service's, `network` (no connection), `cors` (the service does
   *   not let this page call it), `aborted` (cancelled) or `bad_response` (not its answer)
   * @param {number} [facts.status] HTTP status; 0 when the failure has none of its own
   * @param {string | null} [facts.requestId] the service's log has the same
   * @param {number | null} [facts.retryAfterS] seconds after which a retry makes sense
   */
  constructor(message, { code, status = 0, requestId = null, retryAfterS = null }) {
    super(message);
    this.name = "BackdropError";
    this.code = code;
    this.status = status;
    this.requestId = requestId;
    this.retryAfterS = retryAfterS;
  }
}

/** Splits the text of an event stream into events (WHATWG HTML, 9.2.6; `retry` is unused). */
export class EventParser {
  #rest = "";
  #afterReturn = false;
  #type = "";
  #id = "";
  /** @type {string[]} */
  #data = [];

  /**
   * Take the next piece of the stream, cut anywhere.
   * @param {string} text
   * @returns {{type: string, data: string, id: string}[]} the events it completes, each with the
   *   last id up to it, which is empty before the first
   */
  push(text) {
    // A line feed at the start belongs to a line that the return before it has ended already.
    const fresh = this.#afterReturn && text.startsWith("\n") ? text.slice(1) : text;
    if (text) this.#afterReturn = text.endsWith("\r");
    const lines = (this.#rest + fresh).split(/\r\n|\n|\r/);
    this.#rest = lines.pop() ?? "";
    return lines.flatMap((line) => this.#line(line));
  }

  /** @param {string} line */
  #line(line) {
    if (line === "") {
      const event = { type: this.#type || "message", data: this.#data.join("\n"), id: this.#id };
      const events = this.#data.length ? [event] : [];
      this.#type = "";
      this.#data = [];
      return events;
    }
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "event") this.#type = value;
    if (field === "data") this.#data.push(value);
    if (field === "id" && !value.includes("\0")) this.#id = value;
    return [];
  }
}

/** One service, and the key it is called with. */
export class BackdropClient {
  #base;
  #fetch;
  #retries;
  #silenceS;
  /** @type {string | null} */
  #apiKey;

  /**
   * @param {Object} [settings]
   * @param {string} [settings.baseUrl] where the service is, such as `https://images.example`;
   *   empty: beside the page
   * @param {string | null} [settings.apiKey]
   * @param {typeof globalThis.fetch} [settings.fetch]
   * @param {number} [settings.retries] how often a call repeats itself without a new image
   * @param {number} [settings.silenceS] seconds without a byte after which a running stream counts
   *   as lost; the service writes one every 15 s at least
   */
  constructor(settings = {}) {
    const { baseUrl = "", apiKey = null, retries = 3, silenceS = 45 } = settings;
    this.#base = baseUrl && `${baseUrl.replace(/\/+$/, "")}/`;
    this.#fetch = settings.fetch ?? globalThis.fetch;
    this.#retries = retries;
    this.#silenceS = silenceS;
    this.#apiKey = apiKey;
  }

  /** @param {string | null} key null for none */
  setApiKey(key) {
    this.#apiKey = key;
  }

  /**
   * The models.
   * @param {Listeners} [listeners]
   * @returns {Promise<Model[]>}
   * @throws {BackdropError}
   */
  async models(listeners = {}) {
    return (await this.catalog(listeners)).models;
  }

  /**
   * The models, the named sets of fields, and what the service takes.
   * @param {Listeners} [listeners]
   * @returns {Promise<{models: Model[],
   *   presets: {name: string, fields: Record<string, string | number | boolean>}[],
   *   limits: Record<string, number | null>,
   *   formats: {uploads: string[], outputs: string[], copy_widths: number[]}}>}
   * @throws {BackdropError}
   */
  async catalog(listeners = {}) {
    return this.#get("api/models", listeners);
  }

  /**
   * Make variations of a photo.
   * @param {Recipe & Photo} request
   * @param {Listeners} [listeners]
   * @returns {Promise<Result>}
   * @throws {BackdropError}
   */
  async generate(request, listeners = {}) {
    return this.#make(order(request), listeners);
  }

  /**
   * Make variations of an image that the service made.
   * @param {Recipe & {imageUrl: string}} request
   * @param {Listeners} [listeners]
   * @returns {Promise<Result>}
   * @throws {BackdropError}
   */
  async vary(request, listeners = {}) {
    return this.#make(order(request), listeners);
  }

  /**
   * Make a job of what `generate` or `vary` would do: it goes on whatever becomes of this page.
   * @param {(Recipe & Photo) | (Recipe & {imageUrl: string})} request
   * @param {Listeners} [listeners] `signal` ends the call alone
   * @returns {Promise<Job>}
   * @throws {BackdropError}
   */
  async submit(request, listeners = {}) {
    const { path, body, headers } = order(request);
    return this.#post(path, body, { Prefer: "respond-async", ...headers }, listeners);
  }

  /**
   * Look at a job.
   * @param {string} id
   * @param {Listeners} [listeners]
   * @returns {Promise<Job>}
   * @throws {BackdropError}
   */
  async job(id, listeners = {}) {
    return this.#get(jobPath(id), listeners);
  }

  /**
   * The jobs of one's API key, newest first.
   * @param {Page} [page]
   * @param {Listeners} [listeners]
   * @returns {Promise<{jobs: Job[], cursor: string | null}>} `cursor` is null on the last page
   * @throws {BackdropError}
   */
  async jobs(page = {}, listeners = {}) {
    return this.#get(`api/jobs${query(page)}`, listeners);
  }

  /**
   * The images that were made with one's API key, newest first, and how they were made.
   * @param {Page} [page]
   * @param {Listeners} [listeners]
   * @returns {Promise<{results: Made[], cursor: string | null}>} as of `jobs`
   * @throws {BackdropError}
   */
  async results(page = {}, listeners = {}) {
    return this.#get(`api/results${query(page)}`, listeners);
  }

  /**
   * How an image was made.
   * @param {string} imageUrl
   * @param {Listeners} [listeners]
   * @returns {Promise<Made>}
   * @throws {BackdropError}
   */
  async recipe(imageUrl, listeners = {}) {
    return this.#get(imagePath(imageUrl.replace(/\?.*$/, "")).replace(/[^.]+$/, "json"), listeners);
  }

  /**
   * See what is taken for the product, and correct it, before images are made of it.
   * @param {Cut} cut
   * @param {Listeners} [listeners]
   * @returns {Promise<CutOut>}
   * @throws {BackdropError} with the code `product_not_found` where there is none
   */
  async cutOut({ points, ...cut }, listeners = {}) {
    const point = points?.map((place) => place.join(",")).join(";");
    const made = await this.#post("api/cutout", form(named({ ...cut, point })), {}, listeners);
    const { image_url: imageUrl, mask_url: maskUrl, ...rest } = made;
    return { ...rest, imageUrl, maskUrl };
  }

  /**
   * Follow a job to its end, from its first event on: also after the page was loaded again.
   * @param {string} id
   * @param {Listeners} [listeners] `signal` ends the call alone, and not the job
   * @returns {Promise<Result>}
   * @throws {BackdropError} also where the job has failed; with the code `job_cancelled` where it
   *   was cancelled
   */
  async resume(id, listeners = {}) {
    const { signal } = listeners;
    const delivered = new Map();
    const path = jobPath(id);
    let last = "";
    return this.#persist(async (advanced) => {
      /** @type {Record<string, string>} */
      const headers = { Accept: "text/event-stream", ...(last && { "Last-Event-ID": last }) };
      const response = await this.#send(path, { headers, signal });
      return this.#told(response, delivered, listeners, ({ type, data, id }) => {
        if (id && id !== last) advanced();
        last = id || last;
        if (type === "interrupted") throw lost();
        if (type === "cancelled") {
          throw new BackdropError("the job was cancelled", { code: "job_cancelled" });
        }
      });
    }, listeners);
  }

  /**
   * Cancel a job; one that has ended stays as it is.
   * @param {string} id
   * @param {Listeners} [listeners]
   * @returns {Promise<Job>}
   * @throws {BackdropError}
   */
  async cancel(id, listeners = {}) {
    const path = jobPath(id);
    return this.#persist(async () => {
      return json(await this.#send(path, { method: "DELETE", signal: listeners.signal }));
    }, listeners);
  }

  /**
   * Delete an image that the service made.
   * @param {string} imageUrl
   * @returns {Promise<void>}
   * @throws {BackdropError}
   */
  async remove(imageUrl) {
    await this.#send(imagePath(imageUrl), { method: "DELETE" });
  }

  /**
   * @param {string} path
   * @param {Listeners} listeners
   * @returns {Promise<any>}
   */
  async #get(path, listeners) {
    return this.#persist(
      async () => json(await this.#send(path, { signal: listeners.signal })),
      listeners,
    );
  }

  /**
   * @param {string} path
   * @param {BodyInit} body
   * @param {Record<string, string>} headers
   * @param {Listeners} listeners
   * @returns {Promise<any>}
   */
  async #post(path, body, headers, listeners) {
    const { signal } = listeners;
    // With one key for all attempts a repeat gets the first one's answer.
    const sent = { "Idempotency-Key": newKey(), ...headers };
    return this.#persist(
      async () => json(await this.#send(path, { method: "POST", body, headers: sent, signal })),
      listeners,
    );
  }

  /**
   * @param {{path: string, body: BodyInit, headers: Record<string, string>}} order
   * @param {Listeners} listeners
   * @returns {Promise<Result>}
   */
  async #make({ path, body, headers }, listeners) {
    const { signal } = listeners;
    const delivered = new Map();
    const sent = { Accept: "text/event-stream", "Idempotency-Key": newKey(), ...headers };
    return this.#persist(async (advanced) => {
      const response = await this.#send(path, { method: "POST", body, headers: sent, signal });
      return this.#told(response, delivered, listeners, ({ type, data }) => {
        if (type === "image" && !delivered.has(data.index)) advanced();
      });
    }, listeners);
  }

  /**
   * Read a stream to its end, and tell of what is new.
   * @param {Response} response
   * @param {Map<number, any>} delivered the images told of so far
   * @param {Listeners} listeners
   * @param {(event: {type: string, data: any, id: string}) => void} first hears of each event first
   * @returns {Promise<Result>}
   */
  async #told(response, delivered, { signal, onPlace, onProgress, onImage }, first) {
    /** @type {Result | undefined} */
    let answer; // returned at the stream's end, which spares the connection
    for await (const event of this.#events(response, signal)) {
      const { type, data } = event;
      first(event);
      if (type === "waiting") {
        onPlace?.({ place: data.place, expectedSeconds: data.expected_seconds });
      }
      if (type === "progress" && !delivered.has(data.index)) onProgress?.(data);
      if (type === "image" && !delivered.has(data.index)) {
        delivered.set(data.index, data);
        onImage?.(data);
      }
      if (type === "error") throw failure(data);
      if (type === "done") answer = result(data, delivered);
    }
    if (answer) return answer;
    throw lost();
  }

  /**
   * Repeat an attempt while the service is busy or out of reach, a bounded number of times.
   * @template T
   * @param {(advanced: () => void) => Promise<T>} attempt calls `advanced` when it got somewhere
   * @param {Listeners} listeners
   * @returns {Promise<T>}
   */
  async #persist(attempt, { signal, onWait, onReconnect }) {
    for (let repeats = 1; ; repeats++) {
      try {
        return await attempt(() => (repeats = 1));
      } catch (error) {
        if (signal?.aborted) throw aborted();
        if (!(error instanceof BackdropError) || repeats > this.#retries) throw error;
        if (error.code === "network") {
          // Spread out, so that all pages do not return to a restarted service at once.
          const pause = Math.min(3 ** (repeats - 1), LONGEST_PAUSE_S) * (0.75 + Math.random() / 2);
          onReconnect?.({ attempt: repeats, seconds: pause });
          await sleep(pause, signal);
        } else {
          const wait = error.retryAfterS;
          const busy = error.status === 429 || error.status === 503;
          if (!busy || wait === null || wait > LONGEST_WAIT_S) throw error;
          onWait?.({ seconds: wait, reason: error });
          await sleep(wait, signal);
        }
      }
    }
  }

  /**
   * @param {string} path
   * @param {RequestInit} init
   * @returns {Promise<Response>} a success
   */
  async #send(path, init) {
    // Outside the call: a key that no header can carry is not a lost connection.
    const headers = new Headers(init.headers);
    if (this.#apiKey) headers.set("Authorization", `Bearer ${this.#apiKey}`);
    const fetch = this.#fetch; // the browser's own takes no other `this`
    const response = await fetch(this.#base + path, { ...init, headers }).catch(async () => {
      if (init.signal?.aborted) throw aborted();
      throw (await this.#refusesPages()) ? notAllowed() : lost();
    });
    // A gateway that cannot reach the service; the service itself never says so.
    if (response.status === 502) throw lost();
    if (!response.ok) throw failure(await response.json().catch(() => ({})), response);
    return response;
  }

  /** Whether the service answers, and yet not to this page: browsers do not tell that apart. */
  async #refusesPages() {
    const page = globalThis.location;
    if (!page || new URL(this.#base, page.href).origin === page.origin) return false;
    const fetch = this.#fetch;
    const answers = (/** @type {RequestMode} */ mode) =>
      fetch(`${this.#base}api/ready`, { mode, signal: AbortSignal.timeout(5000) }).then(
        () => true,
        () => false,
      );
    return !(await answers("cors")) && (await answers("no-cors"));
  }

  /**
   * The events of a running stream, until it ends or is left.
   * @param {Response} response
   * @param {AbortSignal} [signal]
   * @returns {AsyncGenerator<{type: string, data: any, id: string}, void, void>}
   */
  async *#events(response, signal) {
    const kind = response.headers.get("Content-Type");
    if (!response.body || !kind?.startsWith("text/event-stream")) throw foreign();
    const reader = response.body.getReader();
    const decoder = new TextDecoder();
    const parser = new EventParser();
    try {
      for (;;) {
        const timer = setTimeout(() => reader.cancel(), this.#silenceS * 1000);
        const { done, value } = await reader
          .read()
          .catch(() => {
            if (signal?.aborted) throw aborted();
            return { done: true, value: undefined }; // an early end, as when the timer has struck
          })
          .finally(() => clearTimeout(timer));
        if (done) return;
        for (const event of parser.push(decoder.decode(value, { stream: true }))) {
          if (signal?.aborted) throw aborted();
          yield { ...event, data: JSON.parse(event.data) };
        }
      }
    } finally {
      // Ends a request that still runs; one that has failed has nothing left to cancel.
      reader.cancel().catch(() => {});
    }
  }
}

/**
 * A request's fields under the service's names.
 * @param {Recipe} request
 */
function fields(request) {
  const painted = (request.background ?? "scene") === "scene";
  // Chosen here, so that a repeat makes the same images.
  const seed = request.seed ?? (painted ? crypto.getRandomValues(new Uint32Array(1))[0] : null);
  return named({ ...request, seed });
}

/**
 * What is given, under the service's names.
 * @param {Record<string, any>} given
 * @returns {Record<string, any>}
 */
function named(given) {
  const snake = (/** @type {string} */ name) =>
    name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  const present = Object.entries(given).filter(([, value]) => value != null);
  return Object.fromEntries(present.map(([name, value]) => [snake(name), value]));
}

/**
 * The same as a form.
 * @param {Record<string, any>} fields
 */
function form(fields) {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) {
    form.append(name, value instanceof Blob ? value : String(value));
  }
  return form;
}

/**
 * Where a request goes, and how it is written.
 * @param {(Recipe & Photo) | (Recipe & {imageUrl: string})} request
 * @returns {{path: string, body: BodyInit, headers: Record<string, string>}}
 */
function order({ idempotencyKey, deadlineS, ...request }) {
  const path = "imageUrl" in request ? "api/variation" : "api/generate";
  /** @type {Record<string, string>} */
  const headers = {};
  if (idempotencyKey != null) headers["Idempotency-Key"] = idempotencyKey;
  if (deadlineS != null) headers["X-Deadline-Seconds"] = String(deadlineS);
  // Only a form can hold a file.
  if (path === "api/generate" || request.backgroundImage) {
    return { path, body: form(fields(request)), headers };
  }
  headers["Content-Type"] = "application/json";
  return { path, body: JSON.stringify(fields(request)), headers };
}

/**
 * The path of an image below the service: its URL may be that of a cache in front.
 * @param {string} imageUrl
 */
function imagePath(imageUrl) {
  const path = /generated\/[^/?#]+$/.exec(imageUrl)?.[0];
  if (path) return path;
  throw new BackdropError("not the URL of an image", { code: "invalid_request" });
}

/** @param {Page} page */
function query({ limit, cursor }) {
  const asked = new URLSearchParams(named({ limit, cursor })).toString();
  return asked && `?${asked}`;
}

/** @param {string} id */
function jobPath(id) {
  if (/^[0-9a-f]{32}$/.test(id)) return `api/jobs/${id}`;
  throw new BackdropError("not the id of a job", { code: "invalid_request" });
}

/**
 * @param {Response} response
 * @returns {Promise<any>}
 */
function json(response) {
  return response.json().catch(() => {
    throw foreign();
  });
}

/** 128 random bits; unlike `crypto.randomUUID` also on pages without TLS. */
function newKey() {
  const words = crypto.getRandomValues(new Uint32Array(4));
  return Array.from(words, (word) => word.toString(36)).join("-");
}

/**
 * The answer, with the images that were delivered: a repeat may have stored them once more.
 * @param {any} done
 * @param {Map<number, any>} delivered
 * @returns {Result}
 */
function result(done, delivered) {
  const images = [...delivered.values()].sort((one, other) => one.index - other.index);
  return {
    images: images.map(({ url }) => url),
    modelUsed: done.model_used,
    promptUsed: done.prompt_used,
    seeds: images.map(({ seed }) => seed),
    fidelity: images.map(({ fidelity }) => fidelity),
    warnings: done.warnings,
    withheld: done.withheld,
  };
}

/**
 * @param {{error?: string, code?: string, request_id?: string}} body
 * @param {Response} [response] absent for an event, which has no status
 */
function failure(body, response) {
  const status = response?.status ?? 0;
  const wait = response?.headers.get("Retry-After") ?? ""; // the service's are seconds
  return new BackdropError(body.error ?? `the service answered with status ${status}`, {
    code: body.code ?? "bad_response",
    status,
    requestId: body.request_id ?? response?.headers.get("X-Request-Id"),
    retryAfterS: /^\d+$/.test(wait) ? Number(wait) : null,
  });
}

/**
 * @param {number} duration in seconds
 * @param {AbortSignal} [signal]
 * @returns {Promise<void>}
 */
function sleep(duration, signal) {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(aborted());
    const stop = () => {
      clearTimeout(timer);
      reject(aborted());
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, duration * 1000);
    signal?.addEventListener("abort", stop, { once: true });
  });
}

const aborted = () => new BackdropError("cancelled", { code: "aborted" });
const lost = () => new BackdropError("the service cannot be reached", { code: "network" });
const notAllowed = () =>
  new BackdropError(
    `the service does not let pages of ${globalThis.location?.origin} call it: its cors.origins ` +
      "must have this origin",
    { code: "cors" },
  );
const foreign = () => new BackdropError("the answer is not ours", { code: "bad_response" });
