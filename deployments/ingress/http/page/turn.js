/**
 * One turn of the conversation: what was asked for, and its images as they come; it runs itself.
 *
 * @module
 */

import { BackdropError } from "./client.js";
import { announce, byId, element } from "./dom.js";
import { TurnJob } from "./job.js";
import { fit, tilePixels } from "./layout.js";
import { requestOf } from "./request.js";
import { titleOf } from "./recipe.js";
import { TurnState } from "./state.js";
import { sentence, strings } from "./strings.js";

/**
 * What a turn needs of the page.
 * @typedef {Object} Page
 * @property {import("./client.js").BackdropClient} jobs one that repeats nothing by itself
 * @property {import("./line.js").Line} line
 * @property {import("./history.js").History} history
 * @property {import("./pictures.js").Gallery} gallery
 * @property {(turn: TurnView, index: number, opener: HTMLElement) => void} open shows a result
 * @property {() => void} needKey asks for an API key
 * @property {(prompt: string) => void} giveBack lets a prompt be sent again with other settings
 */

/** A turn's article. */
export class TurnView {
  #page;
  /** @type {TurnJob} */
  #job;
  /** @type {TurnState} */
  #state;
  #forgotten = false;

  /**
   * @param {import("./history.js").Turn} turn
   * @param {Page} page
   */
  constructor(turn, page) {
    this.turn = turn;
    this.#page = page;
    this.grid = element("ul", {
      class: "grid",
      role: "list",
      "aria-label": strings.resultsOf(titleOf(turn.recipe)),
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
        requestOf(turn, page),
        element("div", { class: "status" }, this.state, this.action),
      ),
      this.grid,
      this.alert,
      this.notes,
    );
    this.#job = this.#newJob();
    this.#state = new TurnState(this.state, turn);
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

  /**
   * Make the images; also again, after a failure.
   * @param {Promise<string | null>} [cutting] the cut-out of the photo's product, which is being
   *   looked for: with it the photo need not be sent
   */
  async run(cutting) {
    const { turn } = this;
    // Of what failed only that which lacked a key goes on; all else is another request.
    if (turn.status !== "failed") turn.sent = null;
    if (!turn.sent) turn.results = Array(turn.recipe.numImages ?? 0).fill(null);
    Object.assign(turn, { status: "running", failure: null, warnings: [], absent: [], tookS: 0 });
    announce(strings.saidStarted(turn.results.length));
    await alone(turn.id, () => this.#make(cutting));
    this.#end();
  }

  /** Go on with what an earlier visit began, or another tab. */
  async takeUp() {
    const { turn } = this;
    if (turn.cancelling) this.#job.cancel();
    if (!this.running) return;
    this.#showRunning(strings.takingUp);
    await alone(turn.id, async () => {
      const kept = await this.#page.history.kept(turn.id);
      if (kept && this.running) Object.assign(turn, kept);
      if (!this.running) return;
      await this.#make();
      const { job } = turn.sent ?? {};
      if (!job || this.running) return;
      // The time the service took, and not that of the visits.
      const known = await this.#page.jobs.job(job).catch(() => null);
      if (known?.ended) turn.tookS = (Date.parse(known.ended) - Date.parse(known.created)) / 1000;
    });
    this.#end();
  }

  /** Stop at once. */
  cancel() {
    if (!this.running) return;
    this.turn.status = "cancelled";
    this.#job.cancel();
    this.#end();
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

  #newJob() {
    return new TurnJob(this.turn, this.#page, () => this.#save(), {
      onProgress: (progress) => {
        if (!this.running) return;
        this.#state.step(progress, this.grid.children[progress.index]?.querySelector("progress"));
      },
      onImage: (image) => this.#onImage(image),
      onPlace: ({ place, expectedSeconds }) => {
        if (!this.running) return;
        this.#page.line.behind(place);
        this.#state.place(place, expectedSeconds);
      },
      onWait: ({ seconds, code }) => {
        if (this.running) this.#state.wait(seconds, (left) => strings.busy(code, left));
      },
      onLost: ({ seconds, sent }) => {
        if (this.running) this.#state.wait(seconds, (left) => strings.lost(left, sent));
      },
    });
  }

  /**
   * Wait in the page's line, and run the job.
   * @param {Promise<string | null>} [cutting]
   */
  async #make(cutting) {
    const { turn } = this;
    const job = (this.#job = this.#newJob());
    const state = (this.#state = new TurnState(this.state, turn));
    this.#showSlots();
    this.#showRunning(strings.sending);
    this.#save();
    const leave = await this.#page.line.enter(
      (place) => this.running && state.say(strings.inLine(place, null)),
      job.signal,
    );
    const begun = Date.now();
    try {
      if (cutting && this.running) {
        state.say(strings.lookingForProduct);
        const cutout = await Promise.race([cutting, job.aborted]);
        if (cutout && this.running) turn.recipe.cutout = cutout;
      }
      if (!this.running) return;
      state.say(strings.sending);
      const answer = await job.run();
      turn.warnings = answer.warnings;
      for (const { index, reason } of answer.withheld) {
        turn.absent[index] = strings.withheld(reason);
      }
      Object.assign(turn, { status: "finished", tookS: (Date.now() - begun) / 1000 });
      state.finish();
      const made = turn.results.filter(Boolean).length;
      announce([strings.saidFinished(made), ...turn.warnings.map(sentence)].join(". "));
    } catch (error) {
      if (!this.running || job !== this.#job) return;
      const elsewhere = error instanceof BackdropError && error.code === "job_cancelled";
      if (elsewhere) turn.status = "cancelled";
      else this.#fail(error);
    } finally {
      leave();
      state.stop();
    }
  }

  /** Show what has become of it, unless it was begun again. */
  #end() {
    if (this.running) return;
    this.#showSlots();
    this.#showEnd();
    this.#save();
  }

  /** @param {{index: number} & import("./history.js").Result} image */
  #onImage({ index, url, seed, fidelity }) {
    // A job is told of from its first event on.
    if (!this.running || this.turn.results[index]?.url === url) return;
    this.turn.results[index] = { url, seed, fidelity };
    this.grid.children[index]?.replaceWith(this.#slot(index));
    announce(strings.saidImage(index + 1, this.turn.results.length));
    this.#save();
  }

  /** @param {unknown} error */
  #fail(error) {
    // Whatever is not the client's is a fault of this page, and belongs in the console.
    if (!(error instanceof BackdropError)) console.error(error);
    const { message, code, status, requestId } =
      error instanceof BackdropError ? error : { message: String(error), code: "", status: 0 };
    const known = /** @type {Record<string, string>} */ (strings.advice);
    const advice = known[code] ?? strings.adviceElse;
    this.turn.status = "failed";
    // With a key the same request goes on; else trying again is another one.
    if (status !== 401) this.turn.sent = null;
    this.turn.failure = { text: sentence(message), advice, requestId: requestId ?? null };
    if (status === 400) this.#page.giveBack(this.turn.recipe.prompt ?? "");
    if (status === 401) this.#page.needKey();
  }

  async #save() {
    if (!this.#forgotten) await this.#page.history.save(this.turn);
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

  /** @param {string} words */
  #showRunning(words) {
    this.alert.replaceChildren();
    this.notes.hidden = true;
    this.#state.say(words);
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

/**
 * Do something for a turn while no other tab of this browser does.
 * @param {string} id the turn's
 * @param {() => Promise<void>} work
 */
async function alone(id, work) {
  // Without TLS browsers have no locks: there the service makes one job of both requests.
  if (navigator.locks) await navigator.locks.request(`backdrop turn ${id}`, work);
  else await work();
}
