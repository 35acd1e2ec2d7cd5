/**
 * Pictures that are dropped on the page, or pasted into it.
 *
 * @module
 */

import { byId } from "./dom.js";
import { filesOf } from "./pictures.js";
import { strings } from "./strings.js";

/** The address of a picture, and nothing else. */
const ADDRESS = /^https?:\/\/\S+\.(?:png|jpe?g|webp|gif|avif|heic)(?:\?\S*)?$/i;

/**
 * @param {(files: File[]) => void} take
 * @param {(text: string) => void} say
 */
export function takeDrops(take, say) {
  // The whole page takes a drop: beside the form, the browser would leave the page for the file.
  addEventListener("dragover", (event) => {
    event.preventDefault();
    byId("card").classList.add("dropping");
  });
  addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) byId("card").classList.remove("dropping");
  });
  addEventListener("drop", (event) => {
    event.preventDefault();
    byId("card").classList.remove("dropping");
    const files = filesOf(event.dataTransfer);
    if (files.length) take(files);
    // What another page shows is its address alone, and this page reads nothing of elsewhere.
    else if (event.dataTransfer?.types.includes("text/uri-list")) say(strings.pictureElsewhere);
  });
  addEventListener("paste", (event) => {
    const files = filesOf(event.clipboardData);
    if (!files.length) {
      const text = event.clipboardData?.getData("text/plain").trim() ?? "";
      // After the paste, whose input takes away what is said.
      if (ADDRESS.test(text)) setTimeout(() => say(strings.pictureElsewhere));
      return;
    }
    event.preventDefault();
    take(files);
  });
}
