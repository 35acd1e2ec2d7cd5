/**
 * Builds elements. Text is only ever text: nothing here, or elsewhere in the page, parses markup.
 *
 * @module
 */

import { strings } from "./strings.js";

/**
 * An element.
 * @param {string} tag
 * @param {Record<string, any>} [attributes] `onNAME` listens; null, undefined and false are not set
 * @param {...(Node | string | null)} children strings become text
 * @returns {any} the element
 */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) {
      made.setAttribute(name, value === true ? "" : String(value));
    }
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

/**
 * A button.
 * @param {string | Node} content
 * @param {() => void} act
 * @param {Record<string, any>} [attributes] as of `element`
 * @returns {any}
 */
export function button(content, act, attributes = {}) {
  return element("button", { type: "button", onclick: () => act(), ...attributes }, content);
}

/**
 * The element of an id, which the page has.
 * @param {string} id
 * @returns {any}
 */
export function byId(id) {
  return document.getElementById(id);
}

/**
 * A field of the composer; a group of radio buttons is one, with the value of the chosen one.
 * @param {string} name its id, or the name of the group
 * @returns {any}
 */
export function fieldOf(name) {
  return byId("composer").elements[name];
}

/**
 * Set a field; a choice that has no such value takes the one without any.
 * @param {string} name
 * @param {string | undefined} value
 */
export function choose(name, value) {
  const field = fieldOf(name);
  const choices = [...(field.options ?? field)];
  const chosen = choices.find((choice) => choice.value === value)
    ?? choices.find((choice) => choice.value === "");
  // A group of radio buttons takes no empty value.
  chosen[field.options ? "selected" : "checked"] = true;
}

/** Put the texts into the elements that name them. */
export function fillTexts() {
  const places = {
    text: "textContent", label: "ariaLabel", placeholder: "placeholder", alt: "alt",
  };
  for (const [kind, property] of Object.entries(places)) {
    for (const place of document.querySelectorAll(`[data-${kind}]`)) {
      /** @type {any} */ (place)[property] =
        /** @type {any} */ (strings)[place.getAttribute(`data-${kind}`) ?? ""];
    }
  }
}

/**
 * Tell a screen reader, politely.
 * @param {string} text
 */
export function announce(text) {
  byId("announcer").textContent = text;
}

/**
 * Let arrow keys move among the buttons of a group that is one stop of the tab order
 * (WAI-ARIA Authoring Practices, roving tabindex).
 * @param {HTMLElement} group
 */
export function rove(group) {
  // Read anew each time, because the buttons of a group may change.
  const all = () => /** @type {HTMLElement[]} */ ([...group.querySelectorAll("button")]);
  const enter = (/** @type {HTMLElement} */ entered) => {
    for (const button of all()) button.tabIndex = button === entered ? 0 : -1;
  };
  enter(all()[0]);
  group.addEventListener("focusin", (event) => enter(/** @type {HTMLElement} */ (event.target)));
  group.addEventListener("keydown", (event) => {
    const buttons = all();
    const here = buttons.indexOf(/** @type {HTMLElement} */ (event.target));
    const last = buttons.length - 1;
    const there = {
      ArrowRight: Math.min(here + 1, last),
      ArrowLeft: Math.max(here - 1, 0),
      Home: 0,
      End: last,
    }[event.key];
    if (here < 0 || there === undefined) return;
    event.preventDefault();
    buttons[there].focus();
  });
}
