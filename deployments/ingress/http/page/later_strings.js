/**
 * The chat page's texts of what it loads later: turns, dialogs, uploads and the small canvas.
 *
 * @module
 */

import { strings as atOnce } from "./strings.js";

export { sentence } from "./strings.js";

/**
 * So many of something.
 * @param {number} count
 * @param {string} what one of them
 */
const many = (count, what) => `${count} ${what}${count === 1 ? "" : "s"}`;

/**
 * A place in a line.
 * @param {number} place from 1 on
 */
function ordinal(place) {
  const words = ["first", "second", "third", "fourth", "fifth", "sixth"];
  return words[place - 1] ?? `number ${place}`;
}

/**
 * A duration in words.
 * @param {number} seconds
 */
function duration(seconds) {
  const whole = Math.max(1, Math.round(seconds));
  return whole < 60 ? `${whole} s` : `${Math.floor(whole / 60)} min ${whole % 60} s`;
}

export const strings = {
  ...atOnce,

  // Frame
  clearHistory: "Clear history",
  newTalk: "New conversation",

  // Canvas
  placeLabel: "The product on the canvas: arrow keys move it, plus and minus scale it",
  placeHelp: "Drag the product. Scale it with the slider, the wheel or two fingers.",
  placeSize: "Size of the product",
  placeReset: "Reset place and size",
  percent: (/** @type {number} */ percent) => `${percent} %`,
  placeAt: (/** @type {number} */ x, /** @type {number} */ y, /** @type {number} */ size) => `Middle at ${x} % across and ${y} % down; ${size} % of the largest size.`,
  placeSoft: "That is larger than the photo has it, so it looks soft.",

  // Turn
  summary: (/** @type {string} */ model, /** @type {number} */ images) => `${model} · ${many(images, "image")}`,
  seedShort: (/** @type {number} */ seed) => `seed ${seed}`,
  openImage: (/** @type {number} */ number) => `Open image ${number}`,
  imageAlt: (/** @type {number} */ number, /** @type {string} */ prompt) => `Image ${number}: ${prompt}`,
  resultsOf: (/** @type {string} */ prompt) => `Results of “${prompt}”`,
  gone: "This image is no longer stored.",
  notMade: "Not made",
  deleted: "Deleted",
  withheld: (/** @type {string} */ reason) => `Withheld: ${reason}`,
  cancel: "Cancel",
  remove: "Remove",
  removeTurn: (/** @type {string} */ prompt) => `Remove “${prompt}”`,
  thread: (/** @type {number} */ image, /** @type {string} */ prompt) => `continues image ${image} of “${prompt}”`,
  tryAgain: "Try again",
  sending: "Sending …",
  inLine: (/** @type {number} */ place, /** @type {number | null} */ left) =>
    `In line, ${ordinal(place)} …${left === null ? "" : ` about ${duration(left)}`}`,
  beginning: (/** @type {boolean} */ searching, /** @type {number | null} */ left) =>
    (searching ? "Finding the product …" : "Starting …") +
    (left === null ? "" : ` about ${duration(left)}`),
  making: (/** @type {number} */ step, /** @type {number} */ steps, /** @type {number | null} */ left) =>
    (step < steps ? `Painting, ${step} of ${steps}` : "Finishing …") +
    (left === null ? "" : ` · ${duration(left)} left`),
  takingUp: "Going on with it …",
  lost: (/** @type {number} */ seconds, /** @type {boolean} */ sent) =>
    `Connection lost.${sent ? " The images are made all the same." : ""} Trying again in ${seconds} s`,
  /** The service has no room now: what it waits for, by the code. */
  busy: (/** @type {string} */ code, /** @type {number} */ seconds) =>
    ({
      rate_limited: "In line: you have asked for many images in a short time.",
      unavailable: "The service is not ready yet.",
    }[code] ?? "In line: many people make images just now.") + ` Trying again in ${seconds} s`,
  finished: (/** @type {number} */ images, /** @type {number} */ seconds) =>
    `${many(images, "image")} in ${duration(seconds)}`,
  cancelled: "Cancelled",
  interrupted: "The page was closed before this was finished.",

  // What is announced to screen readers
  saidStarted: (/** @type {number} */ images) => `Making ${many(images, "image")}`,
  saidHalf: "Half done",
  saidImage: (/** @type {number} */ number, /** @type {number} */ images) => `Image ${number} of ${images} is ready`,
  saidFinished: (/** @type {number} */ images) => `All done: ${many(images, "image")}`,
  saidDeleted: "The image is deleted",

  // Viewer
  previousImage: "Previous image",
  nextImage: "Next image",
  imageOf: (/** @type {number} */ number, /** @type {number} */ images) => `Image ${number} of ${images}`,
  zoom: "Zoom",
  zoomIn: "Larger",
  zoomOut: "Smaller",
  zoomWhole: (/** @type {number} */ percent) => `${percent} %: show it whole`,
  sideBySide: "Side by side",
  compare: "Compare with the photo",
  compareValue: (/** @type {number} */ percent) => `${percent} % photo`,
  seedLine: (/** @type {number} */ seed) => `Seed ${seed}`,
  keptAll: "The product is the photo’s, pixel for pixel",
  keptMost: (/** @type {number} */ percent) => `${percent} % of the product’s pixels are the photo’s`,
  keptNone: "No product was kept",
  download: "Download",
  downloadAll: (/** @type {number} */ images) => `Download all ${images}, as a zip`,
  /** @type {Record<string, string>} */
  formats: { png: "PNG", jpg: "JPEG", webp: "WebP" },
  asMade: (/** @type {string} */ ending) => `${strings.formats[ending] ?? ending}, as made`,
  packing: "Packing …",
  notSaved: "It could not be fetched. Check the connection and try again.",
  copyLink: "Copy link",
  linkCopied: "Link copied",
  linkShown: "Copy this link",
  sameAgain: "Same again",
  otherSeed: "Same, other seed",
  moreLike: "More like this",
  favourite: "Favourite",
  changeIt: "Change it",
  deleteIt: "Delete",
  close: "Close",

  // A shared link
  makeOwn: "Make your own",

  // Conversations
  findTalk: "Find a conversation",
  talksFound: (/** @type {number} */ talks) =>
    `${many(talks, "conversation")} found`,
  talkFacts: (/** @type {number} */ turns, /** @type {Date} */ used) =>
    `${many(turns, "request")} · ${used.toLocaleDateString()}`,
  rename: "Rename",
  renameTalk: (/** @type {string} */ name) => `Rename “${name}”`,
  talkName: "Name",
  keepName: "Keep the name",
  removeTalk: (/** @type {string} */ name) => `Remove “${name}”`,
  favourites: "Favourites",
  noFavourites: "None yet. Open an image and choose Favourite.",

  // Questions
  keep: "Keep",
  deleteQuestion: "Delete this image from the server? Links to it stop working.",

  // Cut-out
  cutOutTitle: "This is taken for the product",
  cutOutHelp:
    "What is coloured is painted anew; the rest stays as it is. " +
    "With Keep, click on what is missing or draw over it; with Remove, on what is too much.",
  /** @type {Record<string, string>} */
  strokes: { paint: "Paint", erase: "Erase", keep: "Keep", remove: "Remove" },
  productAlt: "The product as it is cut out",
  overPhoto: "Show the photo behind it",
  useCutOut: "Use it",
  correcting: "Correcting …",
  corrected: "The product is cut out anew",
  noProductYet: "No product was found. With Keep, click on it or draw over it.",

  // Mask painter
  maskTitle: "Paint over the product",
  maskHelp: "White is kept. Or upload a mask: a picture of the same size, white on black.",
  brush: "Brush size",
  clearMask: "Clear mask",
  uploadMask: "Upload a mask",
  useMask: "Use mask",
  canvasLabel: "The photo to paint on, with a mouse, pen or finger",

  // A batch
  batchBegun: (/** @type {number} */ photos) =>
    `${photos} conversations are begun, one for each photo. This is the first.`,
  showAll: "Show all",

  // Failures that the page itself finds
  readingPhotos: (/** @type {number} */ photos) => `Reading ${photos} files …`,
  tooManyPhotos: (/** @type {number} */ photos, /** @type {number} */ most) => `These are ${photos} files: choose at most ${most} at once.`,
  ofFile: (/** @type {string} */ name, /** @type {string} */ said) =>
    said.includes(name) ? said : `“${name}”: ${said}`,
  heic: (/** @type {string} */ name) =>
    `This browser cannot read “${name}”. Save it as JPEG, or set the phone’s camera to ` +
    "“Most compatible”.",
  tooLong: (/** @type {number} */ most) => `The picture is too long: at most ${most} times as long as it is wide.`,
  tooLarge: "The picture is too large for this service. Choose a smaller one.",
  reduced: (/** @type {number} */ megapixels) => `The photo was larger than the service takes: reduced to ${megapixels} megapixels.`,
  converted: "The file was converted to WebP, which the service takes.",
  notAPicture: (/** @type {string} */ name) => `“${name}” is not a picture. Choose a PNG, JPEG or WebP file.`,
  sentPhotoGone:
    "The page was closed while this was being sent, and its photo is no longer in this browser. " +
    "Add the photo and create again.",
  jobGone: "the service does not have this any more: it keeps what it was asked for only for a while",
  emptyMask: "Paint over the product first.",
  maskSize: (/** @type {number} */ width, /** @type {number} */ height) =>
    `The mask must have the photo’s size: ${width} × ${height} pixels.`,
  /**
   * What to do about a failure of the service, by its code.
   * The service's own sentence, which names field and limit, stands before it.
   */
  advice: {
    all_withheld: "Change the prompt or the photo.",
    body_too_large: "Choose a smaller photo.",
    deadline_exceeded: "Ask for fewer images or steps, or try again later.",
    idempotency_conflict: "Reload the page and create again.",
    foreign_image_url: "Start from a photo, or from a result of this service.",
    internal_error: "Try again. If it stays, give the operator the request id below.",
    invalid_image: "Choose another PNG, JPEG or WebP photo.",
    invalid_request: "Change it in the composer and create again.",
    job_gone: "Try again, or remove it.",
    photo_gone: "",
    not_found: "The image is gone. Start from the photo again.",
    product_not_found: "Paint a mask over it, or set “Preserve product” to “If found”.",
    unauthorized: "Enter the API key below, then try again.",
    unavailable: "Try again in a while, or choose another model.",
    unknown_model: "Reload the page for the current list of models.",
  },
  adviceElse: "Try again. If it stays, give the operator the request id below.",
  requestId: (/** @type {string} */ id) => `Request ${id}`,
};
