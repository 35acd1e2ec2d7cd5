/**
 * Makes the images of a turn by a job of the service, which goes on when this page is closed.
 *
 * What a turn was sent with is kept before it is sent. So a page that is loaded again follows the
 * job, or sends the same once more, of which the service makes no second job.
 *
 * @module
 */

import { BackdropError } from "./client.js";
import { newId } from "./history.js";
import { strings } from "./later_strings.js";

/** Longest pause before a service that is out of reach is tried again; the first is a second. */
const LONGEST_PAUSE_S = 30;
/** Answers by which a server in front tells that the service is restarted. */
const RESTARTING = [404, 500, 503, 504];

/**
 * @typedef {Object} Heard what a job tells of itself
 * @property {(progress: {index: number, step: number, steps: number}) => void} onProgress
 * @property {(image: {index: number} & import("./history.js").Result) => void} onImage
 * @property {(line: {place: number, expectedSeconds: number | null}) => void} onPlace
 * @property {(busy: {seconds: number, code: string}) => void} onWait the service is busy
 * @property {(lost: {seconds: number, sent: boolean}) => void} onLost it cannot be reached; `sent`:
 *   it has the job
 */

/** The job of one run of a turn. */
export class TurnJob {
  #turn;
  #page;
  #keep;
  #heard;
  #stop = new AbortController();
  /** @type {import("./history.js").Sent | null} */
  #sent;
  /** @type {Promise<unknown> | null} */
  #submitting = null;
  /** Repeats since the service was heard of. */
  #repeats = 0;

  /**
   * @param {import("./history.js").Turn} turn
   * @param {import("./turn.js").Page} page
   * @param {() => Promise<void>} keep keeps the turn as it is now
   * @param {Heard} heard
   */
  constructor(turn, page, keep, heard) {
    this.#turn = turn;
    this.#sent = turn.sent ?? null;
    this.#page = page;
    this.#keep = keep;
    this.#heard = heard;
  }

  /** Aborted by `cancel`. */
  get signal() {
    return this.#stop.signal;
  }

  /** What `cancel` ends the wait for. */
  aborted = new Promise((/** @type {(nothing: null) => void} */ resolve) =>
    this.#stop.signal.addEventListener("abort", () => resolve(null)));

  /**
   * Send it, if it is not at the service, and follow it to its end.
   * @returns {Promise<import("./client.js").Result>}
   * @throws {BackdropError} it has failed or was cancelled
   */
  async run() {
    const job = this.#sent?.job ?? (await this.#submit());
    const listeners = { ...this.#listeners(), signal: this.signal };
    try {
      return await this.#patiently(() => this.#page.jobs.resume(job, listeners), this.signal);
    } catch (error) {
      if (!(error instanceof BackdropError) || error.status !== 404) throw error;
      throw new BackdropError(strings.jobGone, { code: "job_gone" });
    }
  }

  /** Stop; the service is told as soon as it can be. */
  async cancel() {
    const turn = this.#turn;
    this.#stop.abort();
    turn.cancelling = true;
    this.#keep();
    // What is under way may become a job yet.
    await this.#submitting?.catch(() => {});
    const job = this.#sent?.job;
    if (job) {
      // A job that is gone needs no end, and nothing else stands in the way of one.
      await this.#patiently(() => this.#page.jobs.cancel(job)).catch(() => {});
    }
    turn.cancelling = false;
    this.#keep();
  }

  /** @returns {Promise<string>} the job's id */
  async #submit() {
    const turn = this.#turn;
    const { recipe } = turn;
    const again = this.#sent !== null;
    const painted = (recipe.background ?? "scene") === "scene";
    const seed = recipe.seed ?? (painted ? crypto.getRandomValues(new Uint32Array(1))[0] : null);
    const sent = (this.#sent ??= { key: newId(), seed, job: null });
    turn.sent = sent;
    // Whatever happens to the page from here on, it is known what was sent.
    await this.#keep();
    const fixed = { ...recipe, seed: sent.seed ?? undefined, idempotencyKey: sent.key };
    try {
      return await this.#patiently(() => {
        // Not ended by the signal: a job whose id nobody heard of could not be cancelled.
        const submitting = this.#page.jobs.submit(this.#body(fixed, again)).then(async ({ id }) => {
          sent.job = id;
          await this.#keep();
          return id;
        });
        this.#submitting = submitting;
        return until(this.signal, submitting);
      }, this.signal);
    } catch (error) {
      const gone = error instanceof BackdropError && error.code === "not_found";
      if (!gone || !recipe.cutout) throw error;
      // It is too old: the product is looked for again.
      delete recipe.cutout;
      this.#sent = null;
      return this.#submit();
    }
  }

  /**
   * @param {import("./client.js").Recipe} recipe
   * @param {boolean} again it may have been sent before
   */
  #body(recipe, again) {
    const { imageUrl, photo, mask } = this.#turn;
    const { history } = this.#page;
    if (imageUrl !== null) return { ...recipe, imageUrl };
    if (recipe.cutout) return recipe;
    const image = history.picture(photo);
    if (!image) {
      throw new BackdropError(again ? strings.sentPhotoGone : strings.photoGone, {
        code: "photo_gone",
      });
    }
    return { ...recipe, image, productMask: history.picture(mask) ?? undefined };
  }

  #listeners() {
    const { onProgress, onImage, onPlace } = this.#heard;
    /** @type {<T>(tell: (what: T) => void) => (what: T) => void} */
    const hearing = (tell) => (what) => {
      this.#repeats = 0;
      tell(what);
    };
    return {
      onProgress: hearing(onProgress),
      onImage: hearing(onImage),
      onPlace: hearing(onPlace),
    };
  }

  /**
   * Repeat a call for as long as the service is busy or out of reach.
   * @template T
   * @param {() => Promise<T>} call
   * @param {AbortSignal} [signal]
   * @returns {Promise<T>}
   */
  async #patiently(call, signal) {
    for (;;) {
      try {
        const answer = await call();
        this.#repeats = 0;
        return answer;
      } catch (error) {
        if (!(error instanceof BackdropError) || signal?.aborted) throw error;
        const { status, code, retryAfterS } = error;
        const lost = code === "network" || (code === "bad_response" && RESTARTING.includes(status));
        if (!lost && status !== 429 && status !== 503) throw error;
        // Spread out, so that all pages do not return to a restarted service at once.
        const own = Math.min(3 ** this.#repeats++, LONGEST_PAUSE_S) * (0.75 + Math.random() / 2);
        const seconds = lost ? own : (retryAfterS ?? own);
        if (!signal?.aborted) {
          if (lost) this.#heard.onLost({ seconds, sent: Boolean(this.#sent?.job) });
          else this.#heard.onWait({ seconds, code: status === 429 ? code : "unavailable" });
        }
        await rest(seconds, signal);
      }
    }
  }
}

const aborted = () => new BackdropError(strings.cancelled, { code: "aborted" });

/**
 * What comes first: the end of a promise, or the signal.
 * @template T
 * @param {AbortSignal} signal
 * @param {Promise<T>} promise
 * @returns {Promise<T>}
 */
function until(signal, promise) {
  return new Promise((resolve, reject) => {
    if (signal.aborted) reject(aborted());
    signal.addEventListener("abort", () => reject(aborted()), { once: true });
    promise.then(resolve, reject);
  });
}

/**
 * Wait; no longer than until the browser has a connection again.
 * @param {number} seconds
 * @param {AbortSignal} [signal]
 * @returns {Promise<void>}
 */
function rest(seconds, signal) {
  return new Promise((resolve, reject) => {
    const ended = new AbortController();
    const end = (/** @type {() => void} */ settle) => () => {
      clearTimeout(timer);
      ended.abort();
      settle();
    };
    const timer = setTimeout(end(resolve), seconds * 1000);
    addEventListener("online", end(resolve), { signal: ended.signal });
    signal?.addEventListener("abort", end(() => reject(aborted())), { signal: ended.signal });
    if (signal?.aborted) end(() => reject(aborted()))();
  });
}
