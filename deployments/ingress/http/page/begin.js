/**
 * What the page shows first: its texts and the samples, while everything else is still loading.
 *
 * @module
 */

import { fillTexts } from "./dom.js";
import { showSamples } from "./samples.js";

fillTexts();
showSamples();
document.body.classList.remove("loading");
