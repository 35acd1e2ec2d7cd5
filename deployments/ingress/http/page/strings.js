/**
 * Every text of the chat page, so that it can be translated in one place.
 *
 * `index.html` names texts by their keys, and the modules read them here.
 *
 * @module
 */

import { duration, ordinal, sentence } from "./wording.js";

export { sentence };

export const strings = {
  // Frame
  apiDocs: "API",
  clearHistory: "Clear history",
  keyboard: "Keyboard",
  talks: "Conversations",
  newTalk: "New conversation",
  newTalkShort: "New",
  welcomeTitle: "A new place for your product",
  welcomeText:
    "Add a photo, say what should be around the product, and pick from the results. " +
    "The product itself stays as it is.",
  before: "Before",
  after: "After",
  beforeAlt: "The photo: a red coffee cup on a brown table",
  afterAlt: "What this service made of it: the same cup in a forest",
  tries: "Try it with a sample",
  tryIt: (/** @type {string} */ name, /** @type {string} */ prompt) => `${name}: “${prompt}”`,
  conversation: "Conversation",

  // Composer
  newImage: "New image",
  photo: "Photo",
  photoHint: "Drop or paste one, or try a sample",
  camera: "Take a photo",
  sampleGroup: "Sample photos",
  removePhoto: "Remove the photo",
  pasted: "pasted picture",
  continues: (/** @type {string} */ label) => `Continues: ${label}`,
  linkedImage: "the linked image",
  stopContinuing: "Start from a photo instead",
  ideas: "Ideas",
  ideaGroup: "Ideas",
  demo: "Demo",
  demoWords:
    "This model is a small demo: it shows how the service works. " +
    "For pictures to sell with, its operator adds a full model.",
  showProduct: "Show it large, and correct it",
  lookingForProduct: "Finding the product …",
  productFound: "Product found",
  productDoubtful: "Check the product",
  noProduct: "No product found: mark it",
  prompt: "Prompt",
  promptPlaceholder: "Describe the scene",
  model: "Model",
  noModels: "No model",
  images: "Images",
  create: "Create",
  picture: "Picture",
  preset: "Preset",
  presetNone: "None",
  asPreset: "Standard",
  asItIs: "as it is",
  background: "Background",
  backgroundScene: "Scene",
  backgroundWhite: "White",
  backgroundColour: "Colour",
  backgroundTransparent: "Transparent",
  backgroundBlur: "Blurred",
  backgroundImage: "My picture",
  colour: "Colour",
  backgroundFile: "Background picture",
  shape: "Shape",
  shapePhoto: "The photo’s",
  padding: "Room around, %",
  position: "Product lies",
  /** @type {Record<string, string>} */
  positions: {
    center: "in the middle",
    top: "at the top",
    bottom: "at the bottom",
    left: "on the left",
    right: "on the right",
    "top-left": "top left",
    "top-right": "top right",
    "bottom-left": "bottom left",
    "bottom-right": "bottom right",
  },
  positionFree: "as on the canvas",
  placing: "Place and size on the canvas",
  placeLabel: "The product on the canvas: arrow keys move it, plus and minus scale it",
  placeHelp: "Drag the product. Scale it with the slider, the wheel or two fingers.",
  placeSize: "Size of the product",
  placeReset: "Reset place and size",
  percent: (/** @type {number} */ percent) => `${percent} %`,
  placeAt: (/** @type {number} */ x, /** @type {number} */ y, /** @type {number} */ size) => `Middle at ${x} % across and ${y} % down; ${size} % of the largest size.`,
  placeSoft: "That is larger than the photo has it, so it looks soft.",
  shadow: "Shadow",
  shadowDefault: "Standard",
  shadowNone: "None",
  shadowContact: "Soft",
  shadowCast: "Cast by light",
  shadowFloating: "Floating",
  fileFormat: "File",
  plain: "No scene",
  advanced: "Advanced",
  seed: "Seed",
  steps: "Steps",
  strength: "Strength",
  guidance: "Guidance",
  negativePrompt: "Negative prompt",
  preserveProduct: "Preserve product",
  preserveAuto: "If found",
  preserveTrue: "Always",
  preserveFalse: "Never, redraw everything",
  modelDefault: "model’s own",
  random: "random",
  paintMask: "Paint mask",
  removeMask: "Remove the mask",
  maskSet: "Mask added",
  maskHint: "Shows which part of the photo is the product. Without it, the service finds it.",
  maskNeedsPhoto: "A mask belongs to a photo: add one first.",
  apiKey: "API key",
  apiKeyHint: "This service needs a key. It is kept until this tab is closed.",

  // Turn
  summary: (/** @type {string} */ model, /** @type {number} */ images) => `${model} · ${images} ${images === 1 ? "image" : "images"}`,
  seedShort: (/** @type {number} */ seed) => `seed ${seed}`,
  image: (/** @type {number} */ number) => `Image ${number}`,
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
  turnRemoved: "The request is removed from this browser.",
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
    `${images} ${images === 1 ? "image" : "images"} in ${duration(seconds)}`,
  cancelled: "Cancelled",
  interrupted: "The page was closed before this was finished.",
  full:
    "This browser has no more room: what you make from now on is kept only until you leave. " +
    "Remove old turns, or free space on the disk.",
  historyLost: "This browser does not let the page keep a history; it lasts until you leave.",

  // What is announced to screen readers
  saidStarted: (/** @type {number} */ images) => `Making ${images} ${images === 1 ? "image" : "images"}`,
  saidHalf: "Half done",
  saidImage: (/** @type {number} */ number, /** @type {number} */ images) => `Image ${number} of ${images} is ready`,
  saidFinished: (/** @type {number} */ images) => `All done: ${images} ${images === 1 ? "image" : "images"}`,
  saidCleared: "The history is empty",
  saidContinuing: "The next prompt continues this image",
  saidRestored: "The recipe is in the composer",
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
  sharedGone: "The picture of this link is no longer stored. Its prompt is in the form below.",
  linkBroken: "This link is not whole. Ask for it again, or start with a photo.",

  // Conversations
  findTalk: "Find a conversation",
  talksFound: (/** @type {number} */ talks) =>
    talks === 1 ? "1 conversation found" : `${talks} conversations found`,
  talkFacts: (/** @type {number} */ turns, /** @type {Date} */ used) =>
    `${turns} ${turns === 1 ? "request" : "requests"} · ${used.toLocaleDateString()}`,
  rename: "Rename",
  renameTalk: (/** @type {string} */ name) => `Rename “${name}”`,
  talkName: "Name",
  keepName: "Keep the name",
  removeTalk: (/** @type {string} */ name) => `Remove “${name}”`,
  talkRemoved: "The conversation is removed.",
  favourites: "Favourites",
  noFavourites: "None yet. Open an image and choose Favourite.",

  // Questions
  clearQuestion: "Remove all turns and photos from this browser? The images stay on the server.",
  clear: "Clear",
  keep: "Keep",
  deleteQuestion: "Delete this image from the server? Links to it stop working.",

  // Cut-out
  cutOutTitle: "This is taken for the product",
  cutOutHelp:
    "What is coloured is painted anew; the rest stays as it is. " +
    "Draw with Keep over what is missing, and with Remove over what is too much.",
  /** @type {Record<string, string>} */
  strokes: { paint: "Paint", erase: "Erase", keep: "Keep", remove: "Remove" },
  productAlt: "The product as it is cut out",
  overPhoto: "Show the photo behind it",
  useCutOut: "Use it",
  correcting: "Correcting …",
  corrected: "The product is cut out anew",
  noProductYet: "No product was found. Draw with Keep over it.",

  // Mask painter
  maskTitle: "Paint over the product",
  maskHelp: "White is kept. Or upload a mask: a picture of the same size, white on black.",
  brush: "Brush size",
  undo: "Undo",
  clearMask: "Clear mask",
  uploadMask: "Upload a mask",
  useMask: "Use mask",
  canvasLabel: "The photo to paint on, with a mouse, pen or finger",

  // Failures that the page itself finds
  needPhoto: "Add a photo first: drop one here, paste it, choose a file or take a sample.",
  needPrompt: "Say what the images should show.",
  needBackground: "Choose the background picture: a PNG, JPEG or WebP file.",
  needModel: "Choose a model. If the list is empty, the service is not ready: try again soon.",
  heic: (/** @type {string} */ name) =>
    `This browser cannot read “${name}”. Save it as JPEG, or set the phone’s camera to ` +
    "“Most compatible”.",
  tooLong: (/** @type {number} */ most) => `The picture is too long: at most ${most} times as long as it is wide.`,
  tooLarge: "The picture is too large for this service. Choose a smaller one.",
  reduced: (/** @type {number} */ megapixels) => `The photo was larger than the service takes: reduced to ${megapixels} megapixels.`,
  converted: "The file was converted to WebP, which the service takes.",
  promptTooLong: (/** @type {number} */ most) => `The prompt is too long: at most ${most} characters.`,
  imagesRange: (/** @type {number} */ most) => `Choose 1 to ${most} images.`,
  notAPicture: (/** @type {string} */ name) => `“${name}” is not a picture. Choose a PNG, JPEG or WebP file.`,
  notLoaded: "This part of the page could not be loaded. Check the connection and try again.",
  pictureElsewhere: "A picture of another page cannot be read from here. Save it first, then drop or choose the file.",
  noSample: "The sample could not be loaded. Check the connection and try again.",
  sentPhotoGone:
    "The page was closed while this was being sent, and its photo is no longer in this browser. " +
    "Add the photo and create again.",
  jobGone: "the service does not have this any more: it keeps what it was asked for only for a while",
  photoGone: "The photo of this turn is no longer in this browser. Add it again.",
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

  // Keyboard
  /** @type {[string, string][]} */
  shortcuts: [
    ["Enter", "Create"],
    ["Shift + Enter", "New line"],
    ["Escape", "Cancel what is being made, or close"],
    ["↑", "From an empty prompt to the last result"],
    ["← ↑ → ↓", "Between results"],
    ["Enter on a result", "Open it; Escape goes back"],
    [", and .", "In the large view: the image before and after"],
    ["+, − and 0", "In the large view: larger, smaller, whole; arrow keys move a larger one"],
    ["C, S, D, L, F", "On a result: change it, same again, download, copy its link, favourite"],
    ["← ↑ → ↓, + and −", "On the small canvas: move and scale the product"],
    ["Alt + C", "All conversations"],
    ["Alt + B", "Begin a new conversation"],
    ["Alt + P", "Choose a photo"],
    ["Alt + S", "To the sample photos"],
    ["Alt + I", "To the ideas"],
    ["Alt + O", "To the model"],
    ["Alt + A", "Advanced settings"],
    ["Alt + G", "To the guidance"],
    ["Alt + N", "To the negative prompt"],
    ["Alt + K", "Paint a mask"],
    ["Alt + R", "Try the last failure again"],
    ["Alt + X", "Clear history"],
    ["?", "This list, from an empty prompt"],
  ],

  // Composer's contents
  samples: [
    { file: "samples/coffee.png", small: "coffee.webp", name: "Coffee cup", prompt: "Change background to forest" },
    { file: "pictures/bottle-photo.webp", small: "bottle.webp", name: "Bottle", prompt: "Perfume backdrop" },
    { file: "pictures/vase-photo.webp", small: "vase.webp", name: "Vase", prompt: "Clean white studio" },
  ],
};
