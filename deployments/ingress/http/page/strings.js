/**
 * The chat page's texts, so that they can be translated in two places: here those that it begins
 * with, and in `later_strings.js` those of what it loads later.
 *
 * `index.html` names texts by their keys, and the modules read them here.
 *
 * @module
 */

/**
 * The service's sentences begin small and end without a stop.
 * @param {string} text
 */
export function sentence(text) {
  const begun = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(begun) ? begun : `${begun}.`;
}

export const strings = {
  // Frame
  apiDocs: "API",
  keyboard: "Keyboard",
  talks: "Conversations",
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
  photoHint: "Drop or paste, or try a sample",
  camera: "Take a photo",
  sampleGroup: "Sample photos",
  removePhoto: "Remove the photo",
  removePhotos: "Remove the photos",
  photos: (/** @type {number} */ photos) => `${photos} photos, one conversation each`,
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
  noProduct: "No product: mark it",
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
  shapePhoto: "As photo",
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
  notPlaced:
    "This product cannot be arranged by dragging. “Product lies” and “Room around” place it.",
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
  maskNeedsPhoto: "A mask belongs to one photo: add that first.",
  apiKey: "API key",
  apiKeyHint: "This service needs a key. It is kept until this tab is closed.",

  // Turn
  image: (/** @type {number} */ number) => `Image ${number}`,
  turnRemoved: "The request is removed from this browser.",
  full:
    "This browser has no more room: what you make from now on is kept only until you leave. " +
    "Remove old turns, or free space on the disk.",
  historyLost: "This browser does not let the page keep a history; it lasts until you leave.",

  // What is announced to screen readers
  saidCleared: "The history is empty",
  saidContinuing: "The next prompt continues this image",
  saidRestored: "The recipe is in the composer",

  // A shared link
  sharedGone: "The picture of this link is no longer stored. Its prompt is in the form below.",
  linkBroken: "This link is not whole. Ask for it again, or start with a photo.",

  // Conversations
  talkRemoved: "The conversation is removed.",

  // Questions
  clearQuestion: "Remove all turns and photos from this browser? The images stay on the server.",
  clear: "Clear",

  // Mask painter
  undo: "Undo",

  // Failures that the page itself finds
  needPhoto: "Add a photo first: drop one here, paste it, choose a file or take a sample.",
  needPrompt: "Say what the images should show.",
  needBackground: "Choose the background picture: a PNG, JPEG or WebP file.",
  needModel: "Choose a model. If the list is empty, the service is not ready: try again soon.",
  promptTooLong: (/** @type {number} */ most) => `The prompt is too long: at most ${most} characters.`,
  imagesRange: (/** @type {number} */ most) => `Choose 1 to ${most} images.`,
  notLoaded: "This part of the page could not be loaded. Check the connection and try again.",
  pictureElsewhere: "A picture of another page cannot be read from here. Save it first, then drop or choose the file.",
  noSample: "The sample could not be loaded. Check the connection and try again.",
  photoGone: "The photo of this turn is no longer in this browser. Add it again.",

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
