/**
 * The chat page: puts its parts together.
 *
 * Every address is relative, so that the page works under any route prefix.
 *
 * @module
 */

import { actionsOf, newTurn } from "./actions.js";
import { BackdropClient, BackdropError } from "./client.js";
import { Composer } from "./composer.js";
import { Conversation } from "./conversation.js";
import { announce, byId, element } from "./dom.js";
import { History, newId } from "./history.js";
import { bindKeys } from "./keyboard.js";
import { withDialogs } from "./later.js";
import { Line } from "./line.js";
import { Gallery } from "./pictures.js";
import { sentence, strings } from "./strings.js";
import { offerUndo } from "./undo.js";

const KEY_NAME = "backdrop-api-key";
const TALK_NAME = "backdrop-conversation";

const base = new URL(".", document.baseURI);
const client = new BackdropClient({ baseUrl: base.href });
const gallery = new Gallery();
// What a turn waits for is its own matter: it tells of it.
const jobs = new BackdropClient({ baseUrl: base.href, retries: 0 });
const history = new History(`backdrop ${base.pathname}`, () => note(strings.full, "alert"));
/** The conversation that is shown; null until the history is read. */
let talk = /** @type {import("./history.js").Talk | null} */ (null);
/** Ends when the conversation that was chosen last is shown. */
let showing = Promise.resolve();
/** The ids of background pictures. */
const backgrounds = /** @type {WeakMap<File, string>} */ (new WeakMap());
/** @type {Promise<import("./viewer.js").Viewer | null>} */
let viewer = Promise.resolve(null);
const composer = new Composer(client, gallery, {
  picture: (id) => history.picture(id),
  create,
  setKey,
  changed: keepDraft,
  begun: () => conversation.load(),
});
const conversation = new Conversation({
  jobs,
  line: new Line(),
  history,
  gallery,
  open: show,
  remove: (view) => {
    const back = conversation.remove(view);
    offerUndo(strings.turnRemoved, back);
    composer.focus();
  },
  needKey: () => composer.askKey(),
  reveal: (url) => conversation.reveal(url),
  giveBack: (prompt) => composer.giveBack(prompt),
});

const actions = actionsOf(composer, history, begin);

byId("talks").onclick = showTalks;
byId("new-talk").onclick = () => showTalk(newId());
bindKeys({
  composer,
  conversation,
  act: async (key) => (await viewer)?.act(key),
  talks: showTalks,
  begin: () => showTalk(newId()),
  clear,
});
// What was seen before can be used now.
for (const part of document.querySelectorAll("[inert]")) part.toggleAttribute("inert", false);
keepRoomForComposer();
useKey(sessionStorage.getItem(KEY_NAME));
const loading = loadModels();
const opened = openHistory();
await opened;
await loading;
restoreLink();
addEventListener("hashchange", restoreLink);

/** Show what earlier visits left. */
async function openHistory() {
  if (!(await history.open())) note(strings.historyLost);
  await conversation.takeUp();
  await showTalk(sessionStorage.getItem(TALK_NAME) ?? history.talks()[0]?.id ?? newId());
}

/**
 * Show a conversation, with what was begun in its composer.
 * @param {string} id
 */
function showTalk(id) {
  const shown = showing.then(() => changeTalk(id));
  showing = shown.catch(() => {});
  return shown;
}

/** @param {string} id */
async function changeTalk(id) {
  const first = talk === null;
  talk = null;
  const form = byId("composer");
  const typing = form.contains(document.activeElement);
  // What was typed now would be lost to the draft that comes.
  form.toggleAttribute("inert", !first);
  try {
    const next = history.talk(id);
    sessionStorage.setItem(TALK_NAME, id);
    if (history.turns(id).length && !(await conversation.load())) composer.fail(strings.notLoaded);
    conversation.show(id);
    // What was typed while the page was loading stays.
    if (next.draft || !first) await composer.restore(next.draft, history);
    talk = next;
  } finally {
    form.toggleAttribute("inert", false);
    if (typing) composer.focus();
  }
}

/** Show all conversations. */
async function showTalks() {
  const loaded = await withDialogs(import("./talks.js"), "talks.css").catch(() => null);
  if (!loaded) return composer.fail(strings.notLoaded);
  loaded.openTalks(history, gallery, talk?.id ?? "", {
    open: async (id) => {
      await showTalk(id);
      composer.focus();
    },
    remove: removeTalk,
    show: async (turn, index) => {
      await showTalk(turn.conversation);
      conversation.open(turn, index);
    },
    clear,
  });
}

/** @param {string} id */
async function removeTalk(id) {
  await conversation.load();
  const { back, gone } = conversation.removeTalk(id);
  const shown = id === talk?.id;
  if (shown) await showTalk(history.talks()[0]?.id ?? newId());
  offerUndo(strings.talkRemoved, () => {
    back();
    showTalk(id);
  }, gone);
}

/**
 * Say what stays true.
 * @param {string} text
 * @param {"status" | "alert"} [role] `alert` where something is lost
 */
function note(text, role = "status") {
  byId("announcer").before(element("p", { class: "notice note", role }, text));
}

/** Keep what is in the composer. */
function keepDraft() {
  if (!talk) return;
  const { photo, others, mask, background, ...rest } = composer.draft;
  const backgroundId = background && (backgrounds.get(background) ?? newId());
  for (const { id, picture } of photo ? [photo, ...others] : []) {
    history.savePicture(id, picture.file);
  }
  if (mask) history.savePicture(mask.id, mask.blob);
  if (background && backgroundId) {
    backgrounds.set(background, backgroundId);
    history.savePicture(backgroundId, background);
  }
  talk.draft = {
    ...rest,
    photo: photo?.id ?? null,
    others: others.map(({ id, picture }) => ({ id, name: picture.file.name })),
    mask: mask?.id ?? null,
    background: backgroundId,
  };
  history.saveTalk(talk);
}

async function loadModels() {
  try {
    const { models, presets, limits } = await client.catalog();
    composer.setModels(models, presets, limits);
    composer.fail("");
  } catch (error) {
    if (!(error instanceof BackdropError)) throw error;
    composer.setModels([]);
    if (error.status === 401) composer.askKey();
    else composer.fail(`${sentence(error.message)} ${strings.needModel}`);
  }
}

/** @param {string | null} key */
function useKey(key) {
  client.setApiKey(key);
  jobs.setApiKey(key);
  gallery.setApiKey(key);
}

/** @param {string | null} key */
async function setKey(key) {
  if (key === null) sessionStorage.removeItem(KEY_NAME);
  else sessionStorage.setItem(KEY_NAME, key);
  useKey(key);
  await loadModels();
}

/** @param {import("./composer.js").Asked} asked */
function create({ recipe, modelName, photo, others, mask, continued, aspect, wishes, cutting }) {
  if (mask) history.savePicture(mask.id, mask.blob);
  /** @type {(photo: import("./source.js").Photo | null) => import("./actions.js").Wanted} */
  const wantedOf = (photo) => {
    if (photo) history.savePicture(photo.id, photo.picture.file);
    return {
      recipe: { ...recipe },
      modelName,
      photo: photo?.id ?? continued?.photo ?? null,
      mask: mask?.id ?? null,
      imageUrl: continued?.url ?? null,
      cutout: continued?.cutout ?? null,
      wishes,
      aspect:
        aspect ??
        (photo ? photo.picture.width / photo.picture.height : (continued?.aspect ?? 1)),
    };
  };
  if (!photo || !others.length) return begin(wantedOf(photo), cutting);
  batch([photo, ...others].map((one) => ({ name: one.picture.file.name, wanted: wantedOf(one) })));
}

/** @param {Parameters<typeof import("./batch.js").beginBatch>[0]} all */
async function batch(all) {
  await opened;
  const loaded = await import("./batch.js").catch(() => null);
  if (loaded && talk && (await conversation.load())) {
    composer.leaveBatch();
    return loaded.beginBatch(all, talk, { history, conversation, show: showTalk, talks: showTalks });
  }
  composer.giveBack(all[0].wanted.recipe.prompt ?? "");
  composer.fail(strings.notLoaded);
}

/**
 * Run a turn in the conversation that is shown.
 * @param {import("./actions.js").Wanted} asked
 * @param {Promise<string | null>} [cutting] as of `TurnView.run`
 */
async function begin(asked, cutting) {
  // On a slow disk somebody may be quicker than the history.
  await opened;
  const id = talk?.id ?? newId();
  if (await conversation.load()) {
    conversation.begin(newTurn(id, asked), cutting);
    return;
  }
  composer.giveBack(asked.recipe.prompt ?? "");
  composer.fail(strings.notLoaded);
}

/**
 * Open a result.
 * @param {import("./viewer.js").Shown} view
 * @param {number} index
 */
function show(view, index) {
  const before = viewer;
  viewer = withDialogs(import("./viewer.js")).then(
    async ({ Viewer }) => {
      const shown = (await before) ?? new Viewer(client, gallery, actions);
      shown.open(view, index);
      return shown;
    },
    () => {
      composer.fail(strings.notLoaded);
      return null;
    },
  );
}

/** Show what a shared link holds. */
async function restoreLink() {
  if (!location.hash.includes("image_url=")) return;
  const { hash, pathname, search } = location;
  // Used up: a reload shall not bring it back.
  window.history.replaceState(null, "", pathname + search);
  const loaded = await import("./recipe.js").catch(() => null);
  if (!loaded) return composer.fail(strings.notLoaded);
  const found = loaded.readRecipe(hash);
  if (!found) return composer.fail(strings.linkBroken);
  const { recipe, imageUrl } = found;
  const image = new Image();
  const there = new Promise((resolve) => {
    image.onload = () => resolve(true);
    gallery.show(image, imageUrl, () => resolve(false));
  });
  if (!(await there)) {
    actions.own(recipe);
    return composer.fail(strings.sharedGone);
  }
  const { seed = null, model = "" } = recipe;
  show({
    turn: {
      recipe,
      results: [{ url: imageUrl, seed: /** @type {number | null} */ (seed) }],
      modelName: composer.models.nameOf(String(model)),
      aspect: image.naturalWidth / image.naturalHeight,
      photo: null,
      mask: null,
      imageUrl: null,
      shared: true,
    },
    originalUrl: null,
    focus: () => composer.focus(),
  }, 0);
}

async function clear() {
  const loaded = await withDialogs(import("./question.js")).catch(() => null);
  if (!loaded) return composer.fail(strings.notLoaded);
  if (!(await loaded.confirm(strings.clearQuestion, strings.clear))) return;
  conversation.clear();
  history.clear();
  keepDraft();
  composer.focus();
  announce(strings.saidCleared);
}

/** What is focused in the conversation must not lie under the composer. */
function keepRoomForComposer() {
  const form = byId("composer");
  new ResizeObserver(() => {
    document.documentElement.style.setProperty("--composer", `${form.offsetHeight}px`);
  }).observe(form);
}
