/** Calls every operation of a client that @hey-api/openapi-ts has made; strictly typed. */

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";

import { formDataBodySerializer } from "./client/client/index.js";
import { client } from "./client/client.gen.js";
import * as sdk from "./client/sdk.gen.js";
import type { CutOutForm, JobAnswer } from "./client/types.gen.js";

const [photo] = process.argv.slice(2);
const image = new File([await readFile(photo!)], "photo.png", { type: "image/png" });
const called: string[] = [];

/** The data of an answer that must be a success. */
async function ok<T>(name: string, answer: Promise<{ data?: T; error?: unknown }>): Promise<T> {
  const { data, error } = await answer;
  assert.equal(error, undefined, `${name}: ${JSON.stringify(error)}`);
  called.push(name);
  return data as T;
}

const keyOf = (url: string) => url.split("/").at(-1)!.split(".")[0]!;

assert.equal((await ok("getReadiness", sdk.getReadiness())).ready, true);
const { models, limits } = await ok("listModels", sdk.listModels());
assert.ok(limits.max_images >= 1);
const model = models.find(({ available, sizes }) => available && sizes.working === 64)!;
// The models of a request are an enum; those of an answer are texts.
const id = model.id as "stable-diffusion";

const files = { png: "image/png", jpeg: "image/jpeg", webp: "image/webp" } as const;
const urls: Record<string, string> = {};
for (const output_format of ["png", "jpeg", "webp"] as const) {
  const body = { image, prompt: "Perfume backdrop", model: id, num_images: 1, output_format };
  const made = await ok("generateImages", sdk.generateImages({ body }));
  // Without `Prefer: respond-async` no job comes.
  assert.ok("details" in made);
  assert.equal(made.details[0]!.media_type, files[output_format]);
  urls[output_format] = made.images[0]!;
}
const later = await ok("generateImages", sdk.generateImages({
  body: { image, prompt: "Perfume backdrop", model: id, num_images: 1 },
  headers: { Prefer: "respond-async" },
}));
assert.ok("id" in later);
const job = { path: { job: later.id } };
// A stream that is over is a 204, which has no data.
const seen = (await ok("getJob", sdk.getJob(job))) as JobAnswer;
assert.equal(seen.id, later.id);
const { jobs } = await ok("listJobs", sdk.listJobs());
assert.ok(jobs.some((listed) => listed.id === later.id));
assert.ok(["cancelled", "done"].includes((await ok("cancelJob", sdk.cancelJob(job))).state));
const varied = await ok("varyImage", sdk.varyImage({
  body: {
    image_url: urls.png!, prompt: "Change background to forest", model: id, num_images: 1,
    preserve_product: false, seed: null,
  },
  headers: { "Idempotency-Key": `made-${Date.now()}` },
}));
assert.equal(varied.images.length, 1);

assert.ok((await ok("openaiListModels", sdk.openaiListModels())).data.length >= 1);
const named = { path: { model: id } };
assert.equal((await ok("openaiGetModel", sdk.openaiGetModel(named))).id, id);
const edit = { image, prompt: "Perfume backdrop", model: id };
assert.equal((await ok("openaiEditImage", sdk.openaiEditImage({ body: edit }))).data.length, 1);
assert.equal((await ok("openaiVaryImage", sdk.openaiVaryImage({ body: edit }))).data.length, 1);

// The same path takes a form too, of which this generator knows nothing: its serialiser helps.
const form: CutOutForm = { image };
const cut = await ok("cutOutProduct", sdk.cutOutProduct({
  ...formDataBodySerializer, body: form as object, headers: { "Content-Type": null },
}));
const again = await ok("cutOutProduct", sdk.cutOutProduct({ body: { cutout: cut.cutout } }));
assert.notEqual(again.cutout, cut.cutout);

const size = async (name: string, answer: Promise<{ data?: Blob | File; error?: unknown }>) => {
  assert.ok((await ok(name, answer)).size > 100, name);
};
const { results } = await ok("listResults", sdk.listResults({ query: { limit: 3 } }));
assert.equal(results.length, 3);
const told = await ok("getRecipe", sdk.getRecipe({ path: { key: keyOf(urls.jpeg!) } }));
assert.deepEqual([told.url, told.fields.prompt], [urls.jpeg, "Perfume backdrop"]);
const path = (url: string) => ({ path: { key: keyOf(url) } });
await size("getPng", sdk.getPng({ ...path(urls.png!), query: { width: 128 } }));
await size("getJpg", sdk.getJpg(path(urls.jpeg!)));
await size("getWebp", sdk.getWebp(path(urls.webp!)));
await size("getCutout", sdk.getCutout(path(cut.image_url)));
await size("getCutoutMask", sdk.getCutoutMask({ path: { key: cut.cutout } }));
await ok("deletePng", sdk.deletePng(path(urls.png!)));
await ok("deleteJpg", sdk.deleteJpg(path(urls.jpeg!)));
await ok("deleteWebp", sdk.deleteWebp(path(urls.webp!)));
await ok("deleteCutout", sdk.deleteCutout(path(cut.image_url)));

// A failure is of the documented type.
const refused = await sdk.generateImages({ body: { image, prompt: " ", model: id } });
assert.equal(refused.error?.code, "invalid_request");
console.log(JSON.stringify({ base: client.getConfig().baseUrl, called: [...new Set(called)] }));
