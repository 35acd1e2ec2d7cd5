/**
 * The list of models, and what is known of each.
 *
 * @module
 */

import { byId, element } from "./dom.js";
import { strings } from "./strings.js";

/** The list. */
export class Models {
  #select = byId("model");
  /** @type {Map<string, import("./client.js").Model>} */
  #known = new Map();

  constructor() {
    this.#select.addEventListener("change", () => this.showDemo());
  }

  /** @param {import("./client.js").Model[]} models */
  set(models) {
    this.#known = new Map(models.map((model) => [model.id, model]));
    const before = this.#select.value;
    const options = models.map(({ id, name }) => element("option", { value: id }, name));
    this.#select.replaceChildren(...options);
    if (models.length === 0) this.#select.append(element("option", { value: "" }, strings.noModels));
    if (this.#known.has(before)) this.#select.value = before;
    this.showDemo();
  }

  /** Whether they have been told. */
  get known() {
    return this.#known.size > 0;
  }

  /** Demo weights are told for what they are. */
  showDemo() {
    const demo = this.#known.get(this.#select.value)?.demo;
    byId("demo").hidden = byId("demo-words").hidden = !demo;
  }

  /**
   * What people call a model.
   * @param {string} id
   */
  nameOf(id) {
    return this.#known.get(id)?.name ?? id;
  }

  /**
   * Whether a model edits images instead of painting around a product.
   * @param {string} id
   */
  edits(id) {
    return this.#known.get(id)?.capabilities.edit ?? false;
  }
}
