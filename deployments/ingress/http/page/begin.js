/**
 * What the page shows first: its texts and the samples. Everything else is loaded once these are
 * painted, because it would hold the picture up.
 *
 * @module
 */

import { byId, fillTexts } from "./dom.js";
import { showSamples } from "./samples.js";

fillTexts();
showSamples();
document.body.classList.remove("loading");

// A hidden page paints no frame: it waits for the second.
requestAnimationFrame(() => setTimeout(loadRest));
setTimeout(loadRest, 200);

/** Load what the template names; the second time nothing is left of it. */
function loadRest() {
  document.head.append(byId("rest").content);
}
