/**
 * The dialog of conversations: found, named, opened and removed; and the favourites of all of them.
 *
 * @module
 */

import { closing, show as showDialog } from "./dialogs.js";
import { button, element } from "./dom.js";
import { titleOf } from "./recipe.js";
import { strings } from "./later_strings.js";

/** Widest copy that a small picture needs, in pixels. */
const SMALL_PX = 128;

/**
 * @typedef {Object} Talking what the dialog does
 * @property {(id: string) => void} open shows a conversation
 * @property {(id: string) => void} remove removes one, with a way back
 * @property {(turn: import("./history.js").Turn, index: number) => void} show opens a result
 * @property {() => void} clear asks whether to remove everything
 */

/**
 * What a conversation is called: its name, or else what was asked for first.
 * @param {import("./history.js").History} history
 * @param {import("./history.js").Talk} talk
 */
export function nameOf(history, { id, name, draft }) {
  const [first] = history.turns(id);
  return name || (first ? titleOf(first.recipe) : draft?.fields.prompt) || strings.newTalk;
}

/**
 * Open the dialog.
 * @param {import("./history.js").History} history
 * @param {import("./pictures.js").Gallery} gallery
 * @param {string} shown id of the conversation that is shown
 * @param {Talking} talking
 */
export function openTalks(history, gallery, shown, { open, remove, show, clear }) {
  const list = element("ul", { class: "talks", role: "list" });
  const favourites = element("div", { class: "favourites" });
  const found = element("p", { class: "hint", role: "status" });
  const search = element("input", {
    type: "search",
    placeholder: strings.findTalk,
    "aria-label": strings.findTalk,
    oninput: () => fill(),
  });
  /** @type {(then: () => void) => () => void} */
  const leaving = (then) => () => {
    dialog.close("done");
    then();
  };
  const dialog = element(
    "dialog",
    { class: "sheet", "aria-labelledby": "talks-title" },
    element("h2", { id: "talks-title" }, strings.talks),
    search,
    found,
    list,
    element("h2", {}, strings.favourites),
    favourites,
    button(strings.clearHistory, leaving(clear), { class: "quiet" }),
    closing(),
  );

  /** @param {import("./history.js").Talk} talk */
  const row = (talk) => {
    const { id } = talk;
    const turns = history.turns(id);
    const title = nameOf(history, talk);
    const url = turns.findLast(({ results }) => results.some(Boolean))?.results.find(Boolean)?.url;
    const picture = element("img", { alt: "", width: 48, height: 48 });
    const seen = url ?? history.pictureUrl(turns.at(-1)?.photo ?? null);
    if (seen) gallery.show(picture, seen, () => picture.removeAttribute("src"), SMALL_PX);
    const used = turns.at(-1)?.created ?? talk.created;
    const item = element(
      "li",
      { "aria-current": id === shown ? "true" : null },
      element(
        "button",
        { type: "button", class: "open", onclick: leaving(() => open(id)) },
        picture,
        element("span", {}, element("b", { dir: "auto" }, title),
          element("span", { class: "hint" }, strings.talkFacts(turns.length, new Date(used)))),
      ),
      button(strings.rename, () => rename(item, talk),
        { class: "quiet", "aria-label": strings.renameTalk(title) }),
      button("×", leaving(() => remove(id)),
        { class: "remove", "aria-label": strings.removeTalk(title) }),
    );
    return item;
  };

  /**
   * @param {HTMLElement} item
   * @param {import("./history.js").Talk} talk
   */
  const rename = (item, talk) => {
    const field = element("input", { type: "text", value: nameOf(history, talk), maxlength: 80,
      "aria-label": strings.talkName });
    const form = element("form", {
      onsubmit: (/** @type {Event} */ event) => {
        event.preventDefault();
        talk.name = field.value.trim();
        history.saveTalk(talk);
        const again = row(talk);
        item.replaceWith(again);
        again.querySelector(".quiet").focus();
      },
    }, field, element("button", {}, strings.keepName));
    item.replaceChildren(form);
    field.select();
  };

  const fill = () => {
    const wanted = search.value.trim().toLocaleLowerCase();
    const fits = (/** @type {import("./history.js").Talk} */ talk) =>
      [nameOf(history, talk), ...history.turns(talk.id).map(({ recipe }) => titleOf(recipe))]
        .some((text) => text.toLocaleLowerCase().includes(wanted));
    const talks = history.talks().filter((talk) =>
      (talk.id === shown || talk.draft?.fields.prompt || history.turns(talk.id).length)
      && fits(talk));
    list.replaceChildren(...talks.map(row));
    found.textContent = wanted ? strings.talksFound(talks.length) : "";
    const all = history.turns().reverse().flatMap((turn) =>
      turn.results.flatMap((result, index) => (result?.favourite ? [{ turn, result, index }] : [])));
    favourites.replaceChildren(...all.map(({ turn, result, index }) => {
      const image = element("img", { alt: strings.imageAlt(index + 1, titleOf(turn.recipe)),
        width: 96, height: 96, loading: "lazy" });
      gallery.show(image, result.url, () => image.replaceWith(strings.gone), SMALL_PX);
      return button(image, leaving(() => show(turn, index)), { class: "result" });
    }));
    if (all.length === 0) favourites.append(element("p", { class: "hint" }, strings.noFavourites));
  };

  fill();
  showDialog(dialog);
}
