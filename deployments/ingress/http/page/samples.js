/**
 * The sample photos: each a click away, and tried in one click on the empty page.
 *
 * @module
 */

import { byId, element, rove } from "./dom.js";
import { strings } from "./strings.js";

/** Show them, before anything can be done with them. */
export function showSamples() {
  const picture = (/** @type {string} */ small, /** @type {object} */ size) =>
    element("img", { src: `playground/pictures/${small}`, alt: "", ...size });
  byId("samples").append(...strings.samples.map(({ small, name }) => element("button",
    { type: "button", title: name, "aria-label": name },
    picture(small, { width: 40, height: 40 }))));
  rove(byId("samples"));
  byId("tries").append(...strings.samples.map(({ small, name, prompt }) => element("button",
    { type: "button" },
    picture(small, { width: 96, height: 64 }),
    element("span", {}, strings.tryIt(name, prompt)))));
}

/**
 * @param {(photo: File, prompt?: string) => void} take with a prompt, images are to be made at once
 * @param {(text: string) => void} fail says what is wrong
 */
export function useSamples(take, fail) {
  /** @type {(sample: typeof strings.samples[0], prompt?: string) => Promise<void>} */
  const fetched = async ({ file, name }, prompt) => {
    const response = await fetch(`playground/${file}`).catch(() => null);
    if (!response?.ok) return fail(strings.noSample);
    const blob = await response.blob();
    take(new File([blob], name, { type: blob.type }), prompt);
  };
  strings.samples.forEach((sample, place) => {
    byId("samples").children[place].onclick = () => fetched(sample);
    byId("tries").children[place].onclick = () => fetched(sample, sample.prompt);
  });
}
