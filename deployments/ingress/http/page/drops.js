/**
 * Pictures that are dropped on the page, or pasted into it.
 *
 * @module
 */

import { byId } from "./dom.js";
import { fileOf } from "./pictures.js";

/** @param {(file: File) => void} take */
export function takeDrops(take) {
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
    const file = fileOf(event.dataTransfer);
    if (file) take(file);
  });
  addEventListener("paste", (event) => {
    const file = fileOf(event.clipboardData);
    if (!file) return;
    event.preventDefault();
    take(file);
  });
}
