/**
 * The ideas beside the prompt: what the chosen model draws well, as the service lists it.
 *
 * @module
 */

import { button, byId, rove } from "./dom.js";

/** The group of buttons. */
export class Ideas {
  #group = byId("ideas");
  #model = byId("model");
  #take;
  /** @type {Map<string, string[]>} */
  #prompts = new Map();

  /** @param {(idea: string) => void} take is told the one that was clicked */
  constructor(take) {
    this.#take = take;
    this.#model.addEventListener("change", () => this.show());
    rove(this.#group);
  }

  /** @param {import("./client.js").Model[]} models */
  setModels(models) {
    this.#prompts = new Map(models.map(({ id, starter_prompts }) => [id, starter_prompts]));
    this.show();
  }

  /** Show those of the model that is chosen now. */
  show() {
    const ideas = this.#prompts.get(this.#model.value) ?? [];
    const buttons = ideas.map((idea, index) =>
      button(idea, () => this.#take(idea), { tabindex: index === 0 ? 0 : -1 }));
    this.#group.replaceChildren(...buttons);
    byId("idea-list").hidden = buttons.length === 0;
  }
}
