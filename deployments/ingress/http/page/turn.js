/**
 * One turn of the conversation: what was asked for, and its images as they come; it runs itself.
 *
 * @module
 */

import { BackdropError } from "./client.js";
import { announce, byId, element } from "./dom.js";
import { fit, tilePixels } from "./layout.js";
import { titleOf } from "./recipe.js";
import { sentence, strings } from "./strings.js";

/**
 * What a turn needs of the page.
 * @typedef {Object} Page
 * @property {import("./client.js").BackdropClient} client
 * @property {import("./history.js").History} history
 * @property {import("./pictures.js").Gallery} gallery
 * @property {(turn: TurnView, index: number, opener: HTMLElement) => void} open shows a result
 * @property {() => void} needKey asks for an API key
 * @property {(prompt: string) => void} giveBack lets a prompt be sent again with other settings
 */

/** How long what follows the last step takes, as a share of the steps; learned from each turn. */
const ends = { share: 0.15 };

/** A turn's article. */
export class TurnView {
  #page;
  #abort = new AbortController();
  /** @type {{step: number, steps: number}[]} */
  #progress = [];
  #begun = 0;
  /** When the last step was done; 0 before. */
  #painted = 0;
  #saidHalf = false;
  #forgotten = false;
  /** @type {number | undefined} */
  #timer;

  /**
   * @param {import("./history.js").Turn} turn
   * @param {Page} page
   */
  constructor(turn, page) {
    this.turn = turn;
    this.#page = page;
    const { recipe } = turn;
    this.grid = element("ul", {
      class: "grid",
      role: "list",
      "aria-label": strings.resultsOf(titleOf(recipe)),
    });
    this.state = element("span", { class: "state" });
    this.action = element("button", { type: "button", class: "quiet", hidden: true });
    this.alert = element("div", { class: "failure", role: "alert" });
    this.notes = element("ul", { class: "notes", role: "list", hidden: true });
    this.article = element(
      "article",
      { class: "turn" },
      element(
        "div",
        { class: "head" },
        this.#request(),
        element("div", { class: "status" }, this.state, this.action),
      ),
      this.grid,
      this.alert,
      this.notes,
    );
    this.#showSlots();
    this.#showEnd();
  }

  get running() {
    return this.turn.status === "running";
  }

  /** Where the original of a result is shown from: the photo, or else what was varied. */
  get originalUrl() {
    return this.#page.history.pictureUrl(this.turn.photo) ?? this.turn.imageUrl;
  }

  /** Make the images; also again, after a failure. */
  async run() {
    const { turn } = this;
    const most = turn.recipe.numImages ?? 0;
    Object.assign(turn, { status: "running", failure: null, warnings: [], absent: [], tookS: 0 });
    turn.results = Array(most).fill(null);
    this.#abort = new AbortController();
    this.#progress = [];
    this.#painted = 0;
    this.#saidHalf = false;
    this.#showSlots();
    this.#showRunning();
    this.#save();
    announce(strings.saidStarted(most));
    const started = performance.now();
    try {
      const answer = await this.#call();
      turn.warnings = answer.warnings;
      for (const { index, reason } of answer.withheld) {
        turn.absent[index] = strings.withheld(reason);
      }
      turn.status = "finished";
      turn.tookS = (performance.now() - started) / 1000;
      if (this.#painted) {
        const paintedS = this.#painted - this.#begun;
        ends.share = Math.min(1, (performance.now() - this.#painted) / Math.max(1, paintedS));
      }
      const made = turn.results.filter(Boolean).length;
      announce([strings.saidFinished(made), ...turn.warnings.map(sentence)].join(". "));
    } catch (error) {
      if (turn.status === "running") this.#fail(error);
    } finally {
      clearInterval(this.#timer);
      this.#showSlots();
      this.#showEnd();
      this.#save();
    }
  }

  /** Stop at once. */
  cancel() {
    if (!this.running) return;
    this.turn.status = "cancelled";
    this.#abort.abort();
    announce(strings.cancelled);
  }

  /**
   * Put the focus on a result, or on what is left where it is gone.
   * @param {number} index
   */
  focus(index) {
    const slot = this.grid.children[index];
    const place = slot?.querySelector("button") ?? this.grid.querySelector("button");
    (/** @type {HTMLElement | null} */ (place) ?? byId("prompt")).focus();
  }

  /** Stop, and never be kept again. */
  forget() {
    this.#forgotten = true;
    this.cancel();
    this.article.remove();
  }

  /**
   * A result was deleted.
   * @param {number} index
   */
  drop(index) {
    this.turn.results[index] = null;
    this.turn.absent[index] = strings.deleted;
    this.#save();
    this.#showSlots();
    (this.grid.querySelector("button") ?? byId("prompt")).focus();
  }

  /** @returns {Promise<import("./client.js").Result>} */
  async #call() {
    const { recipe, imageUrl, photo, mask } = this.turn;
    const { client, history } = this.#page;
    const listeners = {
      signal: this.#abort.signal,
      onProgress: this.#onProgress,
      onImage: this.#onImage,
      onPlace: this.#onPlace,
      onWait: this.#onWait,
      onReconnect: this.#onReconnect,
    };
    if (imageUrl !== null) return client.vary({ ...recipe, imageUrl }, listeners);
    if (recipe.cutout) {
      try {
        return await client.generate(recipe, listeners);
      } catch (error) {
        if (!(error instanceof BackdropError) || error.code !== "not_found") throw error;
        delete recipe.cutout; // it is too old: the product is looked for again
      }
    }
    const image = history.picture(photo);
    if (!image) throw new BackdropError(strings.photoGone, { code: "photo_gone" });
    const productMask = history.picture(mask) ?? undefined;
    return client.generate({ ...recipe, image, productMask }, listeners);
  }

  /** @param {{index: number, step: number, steps: number}} progress */
  #onProgress = ({ index, step, steps }) => {
    if (!this.running) return;
    if (this.#progress.length === 0) this.#begun = performance.now();
    this.#progress[index] = { step, steps };
    const bar = this.grid.children[index]?.querySelector("progress");
    if (bar) {
      // The last part is for what follows the last step.
      bar.max = steps * (1 + ends.share);
      bar.value = step;
    }
    const share = this.#share(steps);
    const elapsed = (performance.now() - this.#begun) / 1000;
    const known = share > 0.08 && elapsed > 0.8;
    const end = known ? this.#begun + (elapsed / share) * (1 + ends.share) * 1000 : null;
    const least = Math.min(...this.turn.results.map((result, place) =>
      result ? steps : (this.#progress[place]?.step ?? 0)));
    this.#count(end, (left) => strings.making(least, steps, left));
    if (share >= 1) this.#painted = performance.now();
    if (share >= 0.5 && !this.#saidHalf) {
      this.#saidHalf = true;
      announce(strings.saidHalf);
    }
  };

  /** @param {{place: number, expectedSeconds: number | null}} line */
  #onPlace = ({ place, expectedSeconds }) => {
    if (!this.running) return;
    const { recipe, imageUrl, mask } = this.turn;
    const searched = imageUrl !== null || mask !== null || recipe.cutout
      || recipe.preserveProduct === "false";
    const end = expectedSeconds === null ? null : performance.now() + expectedSeconds * 1000;
    this.#count(end, (left) =>
      place > 1 ? strings.inLine(place, left) : strings.beginning(!searched, left));
  };

  /**
   * Say what is being done, and count the seconds to its end down.
   * @param {number | null} end milliseconds of the page's clock; null where it is not known
   * @param {(left: number | null) => string} say
   */
  #count(end, say) {
    const show = () => {
      const left = end === null ? null : Math.max(0, (end - performance.now()) / 1000);
      this.state.textContent = say(left);
    };
    clearInterval(this.#timer);
    show();
    if (end !== null) this.#timer = setInterval(show, 500);
  }

  /**
   * The share of all steps that is done.
   * @param {number} steps of an image that has not said its own
   */
  #share(steps) {
    const images = this.turn.results.map((result, index) =>
      result ? 1 : (this.#progress[index]?.step ?? 0) / (this.#progress[index]?.steps ?? steps));
    return images.reduce((sum, one) => sum + one, 0) / images.length;
  }

  /** @param {{index: number} & import("./history.js").Result} image */
  #onImage = ({ index, url, seed, fidelity }) => {
    if (!this.running) return;
    this.turn.results[index] = { url, seed, fidelity };
    this.grid.children[index]?.replaceWith(this.#slot(index));
    announce(strings.saidImage(index + 1, this.turn.results.length));
    this.#save();
  };

  /** @param {{seconds: number, reason: BackdropError}} wait */
  #onWait = ({ seconds, reason }) => {
    const end = performance.now() + seconds * 1000;
    const show = () => {
      const left = Math.max(0, Math.ceil((end - performance.now()) / 1000));
      this.state.textContent = left
        ? strings.retryIn(left, reason.message)
        : strings.sending;
    };
    clearInterval(this.#timer);
    show();
    this.#timer = setInterval(show, 250);
    announce(strings.retryIn(Math.ceil(seconds), reason.message));
  };

  /** @param {{attempt: number}} lost */
  #onReconnect = ({ attempt }) => {
    clearInterval(this.#timer);
    this.state.textContent = strings.reconnecting(attempt);
    announce(strings.reconnecting(attempt));
  };

  /** @param {unknown} error */
  #fail(error) {
    // Whatever is not the client's is a fault of this page, and belongs in the console.
    if (!(error instanceof BackdropError)) console.error(error);
    const { message, code, status, requestId } =
      error instanceof BackdropError ? error : { message: String(error), code: "", status: 0 };
    const known = /** @type {Record<string, string>} */ (strings.advice);
    const advice = code === "photo_gone" ? "" : (known[code] ?? strings.adviceElse);
    this.turn.status = "failed";
    this.turn.failure = { text: sentence(message), advice, requestId: requestId ?? null };
    if (status === 400) this.#page.giveBack(this.turn.recipe.prompt ?? "");
    if (status === 401) this.#page.needKey();
  }

  #save() {
    if (!this.#forgotten) this.#page.history.save(this.turn);
  }

  #request() {
    const { recipe, modelName, photo, imageUrl } = this.turn;
    const thumb = element("img", { alt: "", width: 48, height: 48 });
    const shown = imageUrl ?? this.#page.history.pictureUrl(photo);
    if (imageUrl !== null) this.#page.gallery.show(thumb, imageUrl, () => thumb.remove());
    else if (shown !== null) thumb.src = shown;
    const settings = [strings.summary(modelName, recipe.numImages ?? 0)];
    if (recipe.seed !== undefined) settings.push(strings.seedShort(recipe.seed));
    return element(
      "div",
      { class: "request" },
      shown === null ? null : thumb,
      element(
        "div",
        {},
        element("p", { class: "prompt", dir: "auto" }, titleOf(recipe)),
        element("p", { class: "settings" }, settings.join(" · ")),
      ),
    );
  }

  /** Make the images as large as the window lets them be. */
  fit() {
    fit(this.grid, this.turn.results.length, this.turn.aspect);
  }

  #showSlots() {
    this.grid.style.setProperty("--aspect", String(this.turn.aspect));
    this.fit();
    const { results, absent } = this.turn;
    this.grid.hidden = !this.running && !results.some(Boolean) && !absent.some(Boolean);
    // What was focused is still there afterwards: results keep their elements.
    this.turn.results.forEach((result, index) => {
      const slot = this.grid.children[index];
      if (slot === undefined) this.grid.append(this.#slot(index));
      else if (slot.dataset.url !== (result?.url ?? "") || result === null) {
        slot.replaceWith(this.#slot(index));
      }
    });
  }

  /** @param {number} index */
  #slot(index) {
    const result = this.turn.results[index];
    const number = index + 1;
    const slot = element("li", { "data-url": result?.url ?? "" });
    if (result) {
      const image = element("img", {
        alt: strings.imageAlt(number, titleOf(this.turn.recipe)),
        loading: "lazy",
      });
      const button = element(
        "button",
        {
          type: "button",
          class: "result",
          "aria-label": strings.openImage(number),
          onclick: () => this.#page.open(this, index, button),
        },
        image,
      );
      const width = tilePixels(this.grid);
      this.#page.gallery.show(image, result.url, () => this.#showGone(slot), width);
      slot.append(button);
    } else if (this.running) {
      slot.append(element("progress", { "aria-label": strings.image(number), max: 1, value: 0 }));
    } else {
      const text = this.turn.absent[index] ?? strings.notMade;
      slot.append(element("span", { class: "nothing" }, text));
    }
    return slot;
  }

  /** @param {HTMLElement} slot */
  #showGone(slot) {
    slot.replaceChildren(element("span", { class: "nothing" }, strings.gone));
  }

  #showRunning() {
    this.alert.replaceChildren();
    this.notes.hidden = true;
    this.state.textContent = strings.sending;
    this.#offer(strings.cancel, () => this.cancel());
  }

  #showEnd() {
    const { status, failure, warnings, tookS, results } = this.turn;
    if (status === "running") return;
    this.alert.replaceChildren();
    const made = results.filter(Boolean).length;
    this.state.textContent = {
      finished: strings.finished(made, tookS),
      cancelled: strings.cancelled,
      interrupted: strings.interrupted,
      failed: "",
    }[status];
    if (status === "finished") {
      const focused = document.activeElement === this.action;
      this.action.hidden = true;
      // The focus must not fall off the page with the button.
      if (focused) this.grid.querySelector("button")?.focus();
    } else this.#offer(strings.tryAgain, () => this.run());
    if (failure) {
      this.alert.append(
        element("p", {}, failure.text),
        failure.advice ? element("p", {}, failure.advice) : "",
        failure.requestId
          ? element("p", { class: "hint" }, strings.requestId(failure.requestId))
          : "",
      );
    }
    this.notes.replaceChildren(...warnings.map((text) => element("li", {}, sentence(text))));
    this.notes.hidden = warnings.length === 0;
  }

  /**
   * @param {string} text
   * @param {() => void} act
   */
  #offer(text, act) {
    this.action.textContent = text;
    this.action.onclick = act;
    this.action.hidden = false;
  }
}
