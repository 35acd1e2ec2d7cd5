/**
 * The sample photos: each a click away, and tried in one click on the empty page.
 *
 * @module
 */

import { button, byId, element, rove } from "./dom.js";
import { strings } from "./strings.js";

/**
 * @param {(photo: File, prompt?: string) => void} take with a prompt, images are to be made at once
 * @param {(text: string) => void} fail says what is wrong
 */
export function fillSamples(take, fail) {
  /** @type {(sample: typeof strings.samples[0], prompt?: string) => Promise<void>} */
  const fetched = async ({ file, name }, prompt) => {
    const response = await fetch(`playground/${file}`).catch(() => null);
    if (!response?.ok) return fail(strings.noSample);
    const blob = await response.blob();
    take(new File([blob], name, { type: blob.type }), prompt);
  };
  const picture = (/** @type {string} */ small, /** @type {object} */ size) =>
    element("img", { src: `playground/pictures/${small}`, alt: "", ...size });
  byId("samples").append(...strings.samples.map((sample) => button(
    picture(sample.small, { width: 40, height: 40 }),
    () => fetched(sample),
    { title: sample.name, "aria-label": sample.name },
  )));
  rove(byId("samples"));
  byId("tries").append(...strings.samples.map((sample) => element("button", {
    type: "button",
    onclick: () => fetched(sample, sample.prompt),
  }, picture(sample.small, { width: 96, height: 64 }),
  element("span", {}, strings.tryIt(sample.name, sample.prompt)))));
}
