// client.js and what it says to a service. Run by test_client.py.
import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { EventParser } from "../../deployments/ingress/http/page/client.js";
import {
  answers,
  done,
  event,
  fails,
  image,
  order,
  progress,
  shopTest,
  streams,
  url,
} from "./shop.mjs";

describe("calls", { concurrency: true }, () => {
  shopTest("a photo's images arrive one by one, and as a whole", async (shop) => {
    shop.script = [streams(progress(0, 1), image(1), progress(0, 2), image(0), done())];
    const { client, told, listeners } = shop.listening();
    const result = await client.generate(order, listeners);
    assert.deepEqual(
      told.images.map((one) => one.index),
      [1, 0],
    );
    assert.deepEqual(told.images[1], {
      index: 0,
      url: url(0),
      seed: 7,
      fidelity: { pixels: 1, shape: 0.9 },
    });
    assert.deepEqual(told.progress, [
      { index: 0, step: 1, steps: 4 },
      { index: 0, step: 2, steps: 4 },
    ]);
    assert.deepEqual(result, {
      images: [url(0), url(1)],
      modelUsed: "stable-diffusion",
      promptUsed: "Perfume backdrop",
      seeds: [7, 8],
      fidelity: [
        { pixels: 1, shape: 0.9 },
        { pixels: 1, shape: 0.9 },
      ],
      warnings: ["the prompt was cut"],
      withheld: [],
    });
    assert.equal(shop.requests.length, 1);
  });

  shopTest("every field travels under the service's name", async (shop) => {
    shop.script = [streams(done(0))];
    const { client } = shop.listening();
    const settings = {
      numImages: 3,
      seed: 0,
      steps: 5,
      strength: 0.5,
      guidanceScale: 2,
      negativePrompt: "text",
      preserveProduct: "false",
    };
    await client.generate({ ...order, ...settings, productMask: new Blob(["a mask"]) });
    const expected = {
      prompt: "Perfume backdrop",
      model: "stable-diffusion",
      num_images: "3",
      seed: "0",
      steps: "5",
      strength: "0.5",
      guidance_scale: "2",
      negative_prompt: "text",
      preserve_product: "false",
    };
    assert.deepEqual(shop.requests[0].fields, {
      ...expected,
      image: "a photo",
      product_mask: "a mask",
    });
    assert.match(shop.requests[0].text, /name="image"; filename=/);
    assert.equal(shop.requests[0].method, "POST");
    assert.equal(shop.requests[0].url, "/shop/api/generate");
    assert.equal(shop.requests[0].headers.accept, "text/event-stream");
    await client.vary({ ...settings, prompt: "Forest", model: "controlnet", imageUrl: url(0) });
    assert.deepEqual(shop.requests[1].fields, {
      image_url: url(0),
      prompt: "Forest",
      model: "controlnet",
      num_images: 3,
      seed: 0,
      steps: 5,
      strength: 0.5,
      guidance_scale: 2,
      negative_prompt: "text",
      preserve_product: "false",
    });
    assert.equal(shop.requests[1].url, "/shop/api/variation");
  });

  shopTest("the picture's fields travel too, and a file makes a form", async (shop) => {
    shop.script = [streams(done(0))];
    const { client } = shop.listening();
    const picture = {
      background: "image",
      aspectRatio: "4:5",
      productPosition: "0.5,0.75",
      shadowStrength: 0.25,
      outputFormat: "webp",
    };
    const backgroundImage = new Blob(["a beach"]);
    await client.vary({ ...picture, backgroundImage, imageUrl: url(0) });
    assert.deepEqual(shop.requests[0].fields, {
      background: "image",
      background_image: "a beach",
      aspect_ratio: "4:5",
      product_position: "0.5,0.75",
      shadow_strength: "0.25",
      output_format: "webp",
      image_url: url(0),
    });
    await client.vary({ background: "#FFFFFF", imageUrl: url(0) });
    // No seed: no model paints it.
    assert.deepEqual(shop.requests[1].fields, { background: "#FFFFFF", image_url: url(0) });
  });

  shopTest("what is not given is left to the service, but for the seed", async (shop) => {
    shop.script = [streams(done(0))];
    const { client } = shop.listening();
    await client.vary({ prompt: "Forest", model: "m", imageUrl: url(0), steps: null });
    await client.vary({ prompt: "Forest", model: "m", imageUrl: url(0) });
    const [{ seed, ...fields }, { seed: other }] = shop.requests.map((request) => request.fields);
    assert.deepEqual(fields, { image_url: url(0), prompt: "Forest", model: "m" });
    assert.ok(Number.isInteger(seed) && seed >= 0 && seed < 2 ** 32);
    assert.notEqual(seed, other);
  });

  shopTest("each call has an idempotency key of its own", async (shop) => {
    shop.script = [streams(done(0))];
    const { client } = shop.listening();
    await client.generate(order);
    await client.generate(order);
    const keys = shop.requests.map((request) => request.headers["idempotency-key"]);
    for (const key of keys) assert.match(key, /^[!-~]{20,200}$/);
    assert.notEqual(keys[0], keys[1]);
  });

  shopTest("a stream may be cut anywhere", async (shop) => {
    const words = "Café au lait ☕ 北京 🏝️";
    const text =
      `\uFEFF: hello\r\n\r\nretry: 5\r\n${image(0)}: ping\n\nevent: unknown\ndata: {}\n\n` +
      done(1).replace("Perfume backdrop", words);
    const bytes = Buffer.from(text);
    shop.script = [streams(...Array.from(bytes, (byte) => Buffer.of(byte)))];
    const { client, told, listeners } = shop.listening();
    const result = await client.generate(order, listeners);
    assert.equal(result.promptUsed, words);
    assert.deepEqual(
      told.images.map((one) => one.index),
      [0],
    );
  });

  test("the parser takes every line ending, comment and field of the standard", () => {
    const stream =
      "data: one\n\n:comment\n\ndata:two\ndata\ndata: 2\nevent:named\nid: 1\nunknown: x\n\n" +
      "event: empty\n\ndata:  spaced: \n\ndata: unfinished";
    const expected = [
      { type: "message", data: "one", id: "" },
      { type: "named", data: "two\n\n2", id: "1" },
      { type: "message", data: " spaced: ", id: "1" },
    ];
    for (const ending of ["\n", "\r", "\r\n"]) {
      const text = stream.replaceAll("\n", ending);
      for (let size = 1; size <= text.length; size++) {
        const parser = new EventParser();
        const events = [];
        for (let at = 0; at < text.length; at += size) {
          events.push(...parser.push(text.slice(at, at + size)));
          events.push(...parser.push(""));
        }
        assert.deepEqual(events, expected, `${JSON.stringify(ending)} in pieces of ${size}`);
      }
    }
  });

  shopTest("a refusal is an error with the service's words", async (shop) => {
    shop.script = [fails(400, "invalid_image")];
    const { client, told, listeners } = shop.listening();
    await assert.rejects(client.generate(order, listeners), {
      name: "BackdropError",
      message: "it is invalid_image",
      code: "invalid_image",
      status: 400,
      requestId: "r1",
      retryAfterS: null,
    });
    assert.equal(shop.requests.length, 1);
    assert.deepEqual(told.waits, []);
  });

  shopTest("an error event is an error, and is not repeated", async (shop) => {
    shop.script = [
      streams(
        image(0),
        event("error", { error: "too late", code: "deadline_exceeded", request_id: "r2" }),
      ),
    ];
    const { client, told, listeners } = shop.listening();
    await assert.rejects(client.generate(order, listeners), {
      name: "BackdropError",
      message: "too late",
      code: "deadline_exceeded",
      status: 0,
      requestId: "r2",
    });
    assert.equal(told.images.length, 1);
    assert.equal(shop.requests.length, 1);
  });

  shopTest("an answer that is not the service's is named as such", async (shop) => {
    const page = answers(200, "<html>", { "Content-Type": "text/html" });
    shop.script = [page, page, answers(500, "<html>", { "X-Request-Id": "r3" })];
    const { client } = shop.listening();
    await assert.rejects(client.generate(order), { name: "BackdropError", code: "bad_response" });
    await assert.rejects(client.models(), { name: "BackdropError", code: "bad_response" });
    await assert.rejects(client.models(), { code: "bad_response", status: 500, requestId: "r3" });
    assert.equal(shop.requests.length, 3);
  });

  shopTest("the key is sent where there is one", async (shop) => {
    shop.script = [answers(200, { models: [{ id: "m", name: "M" }] })];
    const { client } = shop.listening({ apiKey: "first" });
    assert.deepEqual(await client.models(), [{ id: "m", name: "M" }]);
    client.setApiKey("second");
    await client.models();
    client.setApiKey(null);
    await client.models();
    const sent = shop.requests.map((request) => request.headers.authorization);
    assert.deepEqual(sent, ["Bearer first", "Bearer second", undefined]);
  });

  shopTest("an image is deleted at the service, wherever it is read from", async (shop) => {
    shop.script = [(response) => response.writeHead(204).end(), fails(404, "not_found")];
    const { client } = shop.listening();
    await client.remove("https://cdn.example/pictures/generated/abc.png");
    assert.equal(shop.requests[0].method, "DELETE");
    assert.equal(shop.requests[0].url, "/shop/generated/abc.png");
    await assert.rejects(client.remove(url(0)), { code: "not_found", status: 404 });
    await assert.rejects(client.remove("https://cdn.example/"), { code: "invalid_request" });
  });

  shopTest("an image that is withheld shifts no other", async (shop) => {
    const withheld = [{ index: 1, reason: "the filter says so" }];
    const two = done(3)
      .replace(`"${url(1)}",`, "")
      .replace("[7,8,9]", "[7,9]");
    const told = event("withheld", withheld[0]);
    const last = two.replace('"withheld":[]', `"withheld":${JSON.stringify(withheld)}`);
    shop.script = [streams(image(2), told, image(0), last)];
    const result = await shop.listening().client.generate(order);
    assert.deepEqual(result.images, [url(0), url(2)]);
    assert.deepEqual(result.seeds, [7, 9]);
    assert.deepEqual(result.withheld, withheld);
  });
});
