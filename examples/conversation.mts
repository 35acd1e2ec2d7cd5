/**
 * A chat with one photo: each prompt varies the last image, and images show as they come.
 *
 *     node examples/conversation.mts photo.png "Tropical beach" "Change background to forest"
 *
 * Node.js 22.18 and newer runs TypeScript as it is. Nothing has to be installed: the calls are those
 * a web page would make, with `fetch`. BACKDROP_URL and BACKDROP_KEY name the service and its key.
 */

import { readFile } from "node:fs/promises";

const service = (process.env.BACKDROP_URL ?? "http://127.0.0.1:8000").replace(/\/+$/, "");
const key = process.env.BACKDROP_KEY;

interface Answer {
  images: string[];
  seeds: number[];
  fidelity: ({ pixels: number; shape: number } | null)[];
  warnings: string[];
  withheld: { index: number; reason: string }[];
}

type Event =
  | { name: "progress"; data: { index: number; step: number; steps: number } }
  | { name: "image"; data: { index: number; url: string; seed: number } }
  | { name: "withheld"; data: { index: number; reason: string } }
  | { name: "done"; data: Answer }
  | { name: "error"; data: { error: string; code: string; request_id: string } };

/** Post a request and hand on its events, in order. */
async function* ask(path: string, body: FormData | string): AsyncGenerator<Event> {
  const headers: Record<string, string> = { Accept: "text/event-stream" };
  if (typeof body === "string") headers["Content-Type"] = "application/json";
  if (key) headers["X-API-Key"] = key;
  const answer = await fetch(service + path, { method: "POST", headers, body });
  // What is wrong with the request itself is no event.
  if (!answer.ok) throw new Error(((await answer.json()) as { error: string }).error);
  if (!answer.body) return;
  let rest = "";
  for await (const chunk of answer.body.pipeThrough(new TextDecoderStream())) {
    const blocks = (rest + chunk).split(/\r?\n\r?\n/);
    rest = blocks.pop() ?? "";
    for (const block of blocks) {
      const name = /^event: ?(.*)$/m.exec(block)?.[1]?.trim();
      const data = /^data: ?(.*)$/m.exec(block)?.[1];
      if (name && data) yield { name, data: JSON.parse(data) } as Event;
    }
  }
}

/** Show a turn as it happens, and return its answer. */
async function turn(events: AsyncGenerator<Event>): Promise<Answer> {
  for await (const event of events) {
    if (event.name === "image") console.log(`image ${event.data.index}: ${event.data.url}`);
    if (event.name === "withheld") console.log(`kept back: ${event.data.reason}`);
    if (event.name === "error") throw new Error(event.data.error);
    if (event.name === "done") return event.data;
  }
  throw new Error("the connection was lost");
}

const [path, first, ...later] = process.argv.slice(2);
if (!path || !first) throw new Error("give a photo and at least one prompt");

const form = new FormData();
form.append("image", new Blob([await readFile(path)]), "photo");
form.append("prompt", first);
form.append("model", "stable-diffusion");
form.append("num_images", "2");
let last = await turn(ask("/api/generate", form));

for (const prompt of later) {
  const image_url = last.images[0];
  if (!image_url) throw new Error("no image to go on from");
  const next = { image_url, prompt, model: "controlnet", num_images: 2 };
  last = await turn(ask("/api/variation", JSON.stringify(next)));
}
console.log(`seeds: ${last.seeds.join(", ")}`);
for (const warning of last.warnings) console.log(`warning: ${warning}`);
