/**
 * Several photos at once: each begins a conversation of its own, with the same prompt and settings.
 *
 * @module
 */

import { newTurn } from "./actions.js";
import { newId } from "./history.js";
import { strings } from "./later_strings.js";
import { offer } from "./undo.js";

/**
 * @typedef {Object} Page
 * @property {import("./history.js").History} history
 * @property {import("./conversation.js").Conversation} conversation
 * @property {(id: string) => Promise<void>} show shows a conversation
 * @property {() => void} talks shows all conversations
 */

/**
 * Begin them in the order of the photos; the first one is shown.
 * @param {{name: string, wanted: import("./actions.js").Wanted}[]} all with the names of their files
 * @param {import("./history.js").Talk} here the conversation that is shown
 * @param {Page} page
 */
export async function beginBatch(all, here, { history, conversation, show, talks }) {
  const begun = Date.now();
  const ids = all.map(() => newId());
  // An empty conversation has room for the first.
  if (!history.turns(here.id).length) ids[0] = here.id;
  ids.forEach((id, place) => {
    const talk = history.talk(id);
    talk.place = place;
    talk.name ||= all[place].name.replace(/\.\w+$/, "");
    if (id !== here.id) talk.draft = here.draft && { ...here.draft };
    history.saveTalk(talk);
  });
  if (ids[0] !== here.id) await show(ids[0]);
  all.forEach(({ wanted }, place) => {
    // Each a moment later, so that a page that is loaded again knows their order.
    const turn = { ...newTurn(ids[place], wanted), created: begun + place };
    conversation.begin(turn);
    // At once, so that a reload loses none that waits.
    history.save(turn);
  });
  offer(strings.batchBegun(all.length), strings.showAll, talks);
}
