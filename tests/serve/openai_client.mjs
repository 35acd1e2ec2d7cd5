// OpenAI's package for Node.js against a real service: node openai_client.mjs URL PHOTO

import assert from "node:assert/strict";
import { createReadStream, readFileSync } from "node:fs";

import OpenAI, { toFile } from "openai";

const [url, photo] = process.argv.slice(2);
const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: "none", maxRetries: 0 });
const model = "stable-diffusion";
const signature = (encoded) => Buffer.from(encoded, "base64").subarray(1, 4).toString();

const listed = [];
for await (const entry of client.models.list()) listed.push(entry.id);
assert.ok(listed.includes(model));
assert.equal((await client.models.retrieve(model)).object, "model");
await assert.rejects(client.models.retrieve("gpt-image-2"), OpenAI.NotFoundError);

const image = () => createReadStream(photo);
const made = await client.images.edit({ image: image(), prompt: "Beach", model, n: 2, seed: 5 });
assert.deepEqual(made.data.map(({ seed }) => seed), [5, 6]);
assert.equal(signature(made.data[0].b64_json), "PNG");
assert.equal(made.size, "600x400");

const named = await client.images.edit({
  image: [await toFile(readFileSync(photo), "photo.png", { type: "image/png" })],
  prompt: "Beach",
  model,
  size: "96x64",
  response_format: "url",
  output_format: "jpeg",
});
assert.equal((await fetch(named.data[0].url)).headers.get("content-type"), "image/jpeg");

const types = [];
const stream = await client.images.edit({ image: image(), prompt: "Beach", model, stream: true });
for await (const event of stream) {
  types.push(event.type);
  assert.equal(signature(event.b64_json), "PNG");
}
assert.deepEqual(types, ["image_edit.completed"]);

const refused = async (call, param) => {
  await assert.rejects(call, (error) => {
    assert.ok(error instanceof OpenAI.BadRequestError);
    assert.equal(error.param, param);
    assert.equal(error.type, "invalid_request_error");
    assert.equal(error.requestID, error.error.request_id);
    return true;
  });
};
await refused(client.images.edit({ image: image(), prompt: "x", model, partial_images: 2 }),
  "partial_images");
await refused(client.images.edit({ image: [image(), image()], prompt: "x", model }), "image");
await refused(client.images.generate({ prompt: "x", model }), null);
console.log("done");
