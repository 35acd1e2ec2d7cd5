// client.js: cut-outs, recipes, lists, and what travels in headers. Run by test_client.py.
import assert from "node:assert/strict";
import { describe } from "node:test";

import { answers, done, event, fails, order, shopTest, streams, url } from "./shop.mjs";

const ID = "fe650ab3b2f00123456789abcdef0123";
const box = { left: 3, top: 4, width: 20, height: 30 };
const CUT = {
  cutout: ID, image_url: `http://shop.example/cutouts/${ID}.png`,
  mask_url: `http://shop.example/cutouts/${ID}-mask.png`,
  width: 60, height: 40, box, certainty: 0.9, warnings: ["a thin part was left out"],
};
const file = (text) => new Blob([text], { type: "image/png" });

describe("cut-outs", { concurrency: true }, () => {
  shopTest("a photo is cut out once, however often it is sent", async (shop) => {
    shop.script = [fails(503, "unavailable", { "Retry-After": "0" }), answers(200, CUT)];
    const { client, told, listeners } = shop.listening();
    const cut = await client.cutOut({ image: file("a photo") }, listeners);
    assert.deepEqual(cut, {
      cutout: ID, imageUrl: CUT.image_url, maskUrl: CUT.mask_url, width: 60, height: 40, box,
      certainty: 0.9, warnings: CUT.warnings,
    });
    assert.equal(told.waits.length, 1);
    const [first, second] = shop.requests;
    assert.deepEqual([first.method, first.url], ["POST", "/shop/api/cutout"]);
    assert.deepEqual(first.fields, { image: "a photo" });
    assert.match(first.headers["idempotency-key"], /^[!-~]{20,200}$/);
    assert.equal(first.headers["idempotency-key"], second.headers["idempotency-key"]);
  });

  shopTest("strokes and points correct one", async (shop) => {
    shop.script = [answers(200, CUT)];
    const { client } = shop.listening();
    const points = [[0.5, 0.25], [1, 0]];
    await client.cutOut({ cutout: ID, keep: file("yes"), remove: file("no"), points });
    assert.deepEqual(shop.requests[0].fields, {
      cutout: ID, keep: "yes", remove: "no", point: "0.5,0.25;1,0",
    });
  });

  shopTest("one is kept instead of a search, without the photo", async (shop) => {
    shop.script = [streams(done(0))];
    const { client } = shop.listening();
    await client.generate({ prompt: "Forest", model: "m", cutout: ID, seed: 1 });
    assert.deepEqual(shop.requests[0].fields, {
      prompt: "Forest", model: "m", cutout: ID, seed: "1",
    });
  });

  shopTest("no product is an error with a code", async (shop) => {
    shop.script = [fails(400, "product_not_found")];
    const { client } = shop.listening();
    await assert.rejects(client.cutOut({ imageUrl: url(0) }), { code: "product_not_found" });
  });
});

describe("headers", { concurrency: true }, () => {
  shopTest("a page's own key and a deadline are no fields", async (shop) => {
    shop.script = [streams(done(0))];
    const { client } = shop.listening();
    const own = { idempotencyKey: "turn-17", deadlineS: 90, seed: 1 };
    await client.generate({ ...order, ...own });
    await client.vary({ imageUrl: url(0), prompt: "Forest", model: "m", ...own });
    shop.script = [answers(202, {})];
    const callbackUrl = "https://hooks.shop.example/backdrop";
    await client.submit({ ...order, ...own, callbackUrl });
    assert.equal(shop.requests[2].fields.callback_url, callbackUrl);
    for (const { headers, fields } of shop.requests) {
      assert.equal(headers["idempotency-key"], "turn-17");
      assert.equal(headers["x-deadline-seconds"], "90");
      assert.ok(!Object.keys(fields).some((name) => /key|deadline/.test(name)));
    }
    assert.equal(shop.requests[2].headers.prefer, "respond-async");
  });

  shopTest("a request's place in the line is told", async (shop) => {
    const waiting = event("waiting", { place: 2, expected_seconds: null });
    shop.script = [streams(waiting, done(0))];
    const { client } = shop.listening();
    const places = [];
    await client.generate(order, { onPlace: (line) => places.push(line) });
    assert.deepEqual(places, [{ place: 2, expectedSeconds: null }]);
  });
});

describe("what was made", { concurrency: true }, () => {
  shopTest("a recipe is read at the service, wherever its image is", async (shop) => {
    shop.script = [answers(200, { url: url(0), fields: { seed: 7 } })];
    const { client } = shop.listening();
    for (const ending of ["png", "webp?width=256"]) {
      const made = await client.recipe(`https://cdn.example/generated/${ID}.${ending}`);
      assert.equal(made.fields.seed, 7);
    }
    for (const { url } of shop.requests) assert.equal(url, `/shop/generated/${ID}.json`);
    await assert.rejects(client.recipe("https://cdn.example/cup.png"), { code: "invalid_request" });
  });

  shopTest("lists come in pages", async (shop) => {
    shop.script = [answers(200, { results: [], jobs: [], cursor: "a-b" })];
    const { client } = shop.listening();
    const { cursor } = await client.results();
    await client.results({ limit: 5, cursor });
    await client.jobs({ cursor: null });
    await client.job(ID);
    assert.deepEqual(shop.requests.map(({ method, url }) => [method, url]), [
      ["GET", "/shop/api/results"],
      ["GET", "/shop/api/results?limit=5&cursor=a-b"],
      ["GET", "/shop/api/jobs"],
      ["GET", `/shop/api/jobs/${ID}`],
    ]);
  });
});
