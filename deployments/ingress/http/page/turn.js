/**
 * One turn of the conversation: what was asked for, and its images as they come; it runs itself.
 *
 * @module
 */

import { BackdropError } from "./client.js";
import { announce, button, byId, element } from "./dom.js";
import { TurnJob } from "./job.js";
import { fit, room } from "./layout.js";
import { titleOf } from "./recipe.js";
import { requestOf } from "./request.js";
import { Slots } from "./slots.js";
import { TurnState } from "./state.js";
import { sentence, strings } from "./later_strings.js";

/**
 * What a turn needs of the page.
 * @typedef {Object} Page
 * @property {import("./client.js").BackdropClient} jobs one that repeats nothing by itself
 * @property {import("./line.js").Line} line
 * @property {import("./history.js").History} history
 * @property {import("./pictures.js").Gallery} gallery
 * @property {(turn: TurnView, index: number) => void} open shows a result
 * @property {(turn: TurnView) => void} remove removes a turn, with a way back
 * @property {(url: string) => void} reveal puts the focus on an image of the conversation
 * @property {() => void} needKey asks for an API key
 * @property {(prompt: string) => void} giveBack lets a prompt be sent again with other settings
 */

/** A turn's article. */
export class TurnView {
  #page;
  #slots;
  /** @type {TurnJob} */
  #job;
  /** @type {TurnState} */
  #state;
  /** What the button beside the state does. */
  #act = () => {};
  /** Whether it is to be kept in this browser. */
  kept = true;

  /**
   * @param {import("./history.js").Turn} turn
   * @param {Page} page
   */
  constructor(turn, page) {
    this.turn = turn;
    this.#page = page;
    this.#slots = new Slots(turn, page.gallery, (index) => page.open(this, index));
    this.grid = this.#slots.grid;
    this.state = element("span", { class: "state" });
    this.action = button("", () => this.#act(), { class: "quiet", hidden: true });
    this.removal = button(strings.remove, () => page.remove(this),
      { class: "quiet", "aria-label": strings.removeTurn(titleOf(turn.recipe)) });
    this.alert = element("div", { class: "failure", role: "alert" });
    this.notes = element("ul", { class: "notes", role: "list", hidden: true });
    this.article = element(
      "article",
      { class: "turn" },
      element(
        "div",
        { class: "head" },
        requestOf(turn, page),
        element("div", { class: "status" }, this.state, this.action, this.removal),
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

  /**
   * Mark a result as a favourite, or no longer.
   * @param {number} index
   * @param {boolean} favourite
   */
  favour(index, favourite) {
    const result = this.turn.results[index];
    if (!result) return;
    result.favourite = favourite;
    this.#slots.renew(index);
    this.#save();
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
        this.#state.step(progress, this.#slots.bar(progress.index));
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
    this.#slots.renew(index);
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
    if (this.kept) await this.#page.history.save(this.turn);
  }

  /**
   * Make the images of many turns as large as the window lets them be.
   * @param {TurnView[]} views
   */
  static fitAll(views) {
    const measured = room();
    for (const view of views) view.fit(measured);
  }

  /**
   * Make the images as large as the window lets them be.
   * @param {import("./layout.js").Room} [measured]
   */
  fit(measured = room()) {
    fit(this.grid, this.turn.results.length, this.turn.aspect, measured);
  }

  #showSlots() {
    this.fit();
    this.#slots.show();
  }

  /** @param {string} words */
  #showRunning(words) {
    this.alert.replaceChildren();
    this.notes.hidden = true;
    this.#state.say(words);
    this.removal.hidden = true;
    this.#offer(strings.cancel, () => this.cancel());
  }

  #showEnd() {
    const { status, failure, warnings, tookS, results } = this.turn;
    if (status === "running") return;
    this.removal.hidden = false;
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
    this.#act = act;
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
