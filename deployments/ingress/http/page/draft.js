/**
 * What is in the composer, as it is kept between visits: nothing that was typed is lost.
 *
 * @module
 */

import { fieldOf } from "./dom.js";

/** The fields, in an order in which each finds those it depends on. */
const FIELDS = [
  "prompt", "model", "images",
  "preset", "background", "background-colour", "shape", "padding", "position", "place",
  "shadow", "file-format",
  "seed", "steps", "strength", "guidance", "negative-prompt", "preserve",
];

/** @returns {Record<string, string>} values by the names of the fields */
export function fieldValues() {
  return Object.fromEntries(FIELDS.map((id) => [id, fieldOf(id).value]));
}

/**
 * Put values back; those that are not known are left as they are.
 * @param {Record<string, string>} values
 */
export function putFieldValues(values) {
  for (const id of FIELDS) {
    const field = fieldOf(id);
    const value = values[id];
    const known = !field.options || [...field.options].some((option) => option.value === value);
    if (value !== undefined && known) field.value = value;
  }
}
