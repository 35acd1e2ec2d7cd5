/**
 * The chat page: puts its parts together.
 *
 * Every address is relative, so that the page works under any route prefix.
 *
 * @module
 */

import { BackdropClient, BackdropError } from "./client.js";
import { Composer } from "./composer.js";
import { Conversation } from "./conversation.js";
import { announce, byId, confirm, fillTexts } from "./dom.js";
import { History, newId } from "./history.js";
import { bindKeys } from "./keyboard.js";
import { Line } from "./line.js";
import { Gallery } from "./pictures.js";
import { readRecipe } from "./recipe.js";
import { sentence, strings } from "./strings.js";
import { Viewer } from "./viewer.js";

const KEY_NAME = "backdrop-api-key";

fillTexts();
document.body.classList.remove("loading");

const base = new URL(".", document.baseURI);
const client = new BackdropClient({ baseUrl: base.href });
const gallery = new Gallery();
// What a turn waits for is its own matter: it tells of it.
const jobs = new BackdropClient({ baseUrl: base.href, retries: 0 });
const history = new History(`backdrop ${base.pathname}`, () => composer.fail(strings.full));
const viewer = new Viewer(client, gallery, { change, same, own });
const composer = new Composer(client, gallery, create, setKey);
const conversation = new Conversation({
  jobs,
  line: new Line(),
  history,
  gallery,
  open: (view, index) => viewer.open(view, index),
  needKey: () => composer.askKey(),
  giveBack: (prompt) => composer.giveBack(prompt),
});

byId("clear-history").onclick = clear;
bindKeys({ composer, conversation, viewer, clear });
keepRoomForComposer();
useKey(sessionStorage.getItem(KEY_NAME));
conversation.restore(await history.open());
await loadModels();
restoreLink();
addEventListener("hashchange", restoreLink);

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
function create({ recipe, modelName, photo, mask, continued, aspect, cutting }) {
  if (photo) history.savePicture(photo.id, photo.picture.file);
  if (mask) history.savePicture(mask.id, mask.blob);
  conversation.begin({
    id: newId(),
    conversation: "first",
    created: Date.now(),
    recipe,
    modelName,
    photo: photo?.id ?? continued?.photo ?? null,
    mask: mask?.id ?? null,
    imageUrl: continued?.url ?? null,
    aspect:
      aspect ??
      (photo ? photo.picture.width / photo.picture.height : (continued?.aspect ?? 1)),
    status: "running",
    sent: null,
    results: [],
    warnings: [],
    absent: [],
    failure: null,
    tookS: 0,
  }, cutting);
}

/**
 * Let the next prompt continue a result.
 * @param {import("./viewer.js").Shown} view
 * @param {number} index
 */
function change({ turn }, index) {
  const { url } = /** @type {import("./viewer.js").ShownResult} */ (turn.results[index]);
  const label = turn.shared ? strings.linkedImage : strings.image(index + 1);
  if (turn.shared) composer.load(turn.recipe);
  composer.continueFrom({ url, label, aspect: turn.aspect, photo: turn.photo });
  composer.focus();
  announce(strings.saidContinuing);
}

/**
 * Put a result's recipe into the composer, with what it started from and its seed.
 * @param {import("./viewer.js").Shown} view
 * @param {number} index
 */
async function same({ turn }, index) {
  const { seed } = /** @type {import("./viewer.js").ShownResult} */ (turn.results[index]);
  const { imageUrl, aspect, photo, mask } = turn;
  const blob = history.picture(photo);
  if (imageUrl !== null) {
    composer.continueFrom({ url: imageUrl, label: strings.linkedImage, aspect, photo });
  } else if (blob && photo !== null) {
    const masked = history.picture(mask);
    const file = blob instanceof File ? blob : new File([blob], strings.photo);
    await composer.setPhoto(file, photo, mask && masked ? { id: mask, blob: masked } : null,
      turn.recipe.cutout);
  }
  composer.load({ ...turn.recipe, seed: seed ?? undefined });
  if (imageUrl === null && !blob) composer.fail(strings.photoGone);
  announce(strings.saidRestored);
}

/** Show what a shared link holds. */
async function restoreLink() {
  if (!location.hash.includes("image_url=")) return;
  const found = readRecipe(location.hash);
  // Used up: a reload shall not bring it back.
  window.history.replaceState(null, "", location.pathname + location.search);
  if (!found) return composer.fail(strings.linkBroken);
  const { recipe, imageUrl } = found;
  const image = new Image();
  const loaded = new Promise((resolve) => {
    image.onload = () => resolve(true);
    gallery.show(image, imageUrl, () => resolve(false));
  });
  if (!(await loaded)) {
    own(recipe);
    return composer.fail(strings.sharedGone);
  }
  const { seed = null, model = "" } = recipe;
  viewer.open({
    turn: {
      recipe,
      results: [{ url: imageUrl, seed: /** @type {number | null} */ (seed) }],
      modelName: composer.modelName(String(model)),
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

/**
 * Put a recipe into the composer, for a photo of one's own: other seeds, other pictures.
 * @param {import("./client.js").Recipe} recipe
 */
function own({ seed, ...recipe }) {
  composer.continueFrom(null);
  composer.load(recipe);
  announce(strings.saidRestored);
}

async function clear() {
  if (!(await confirm(strings.clearQuestion, strings.clear))) return;
  conversation.clear();
  history.clear();
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
