/**
 * How numbers and the service's sentences are put into words.
 *
 * @module
 */

/**
 * A place in a line.
 * @param {number} place from 1 on
 */
export function ordinal(place) {
  const words = ["first", "second", "third", "fourth", "fifth", "sixth"];
  return words[place - 1] ?? `number ${place}`;
}

/**
 * A duration in words.
 * @param {number} seconds
 */
export function duration(seconds) {
  const whole = Math.max(1, Math.round(seconds));
  return whole < 60 ? `${whole} s` : `${Math.floor(whole / 60)} min ${whole % 60} s`;
}

/**
 * The service's sentences begin small and end without a stop.
 * @param {string} text
 */
export function sentence(text) {
  const begun = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(begun) ? begun : `${begun}.`;
}
