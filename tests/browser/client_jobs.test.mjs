// client.js and jobs, which go on without the page. Run by test_client.py.
import assert from "node:assert/strict";
import { describe } from "node:test";

import { answers, cuts, done, event, fails, image, order, progress, shopTest, streams, url } from "./shop.mjs";

const ID = "fe650ab3b2f00123456789abcdef0123";
const JOB = { id: ID, state: "waiting", place: 3, expected_seconds: null, images: [] };
const as = (id, text) => `id: ${id}\r\n${text}`;
const busy = { "Retry-After": "0" };

describe("jobs", { concurrency: true }, () => {
  shopTest("a photo is submitted once, however often it is sent", async (shop) => {
    shop.script = [fails(503, "unavailable", busy), answers(202, JOB)];
    const { client, told, listeners } = shop.listening();
    assert.deepEqual(await client.submit(order, listeners), JOB);
    const [first, second] = shop.requests;
    assert.equal(told.waits.length, 1);
    assert.equal(first.url, "/shop/api/generate");
    assert.equal(first.headers.prefer, "respond-async");
    assert.match(first.headers["idempotency-key"], /^[!-~]{20,200}$/);
    assert.equal(first.headers["idempotency-key"], second.headers["idempotency-key"]);
    assert.equal(first.fields.seed, second.fields.seed);
    assert.equal(first.fields.image, "a photo");
  });

  shopTest("a result is varied by a job too", async (shop) => {
    shop.script = [answers(202, JOB)];
    const { client } = shop.listening();
    await client.submit({ prompt: "Forest", model: "m", imageUrl: url(0), seed: 1 });
    assert.equal(shop.requests[0].url, "/shop/api/variation");
    assert.deepEqual(shop.requests[0].fields, {
      prompt: "Forest", model: "m", image_url: url(0), seed: 1,
    });
  });

  shopTest("a job is followed over lost connections, and nothing is told twice", async (shop) => {
    const waiting = event("waiting", { place: 2, expected_seconds: 4.5 });
    const interrupted = event("interrupted", { error: "no storage", code: "unavailable" });
    shop.script = [
      cuts(waiting, as(1, progress(0, 1)), as(2, image(0))),
      streams(interrupted),
      streams(as(3, progress(1, 1)), as(4, image(1)), as(5, done())),
    ];
    const { client, told, listeners } = shop.listening();
    const places = [];
    const onPlace = (line) => places.push(line);
    const result = await client.resume(ID, { ...listeners, onPlace });
    assert.deepEqual(places, [{ place: 2, expectedSeconds: 4.5 }]);
    assert.deepEqual(told.images.map(({ index }) => index), [0, 1]);
    assert.deepEqual(result.images, [url(0), url(1)]);
    assert.equal(told.losses.length, 2);
    const asked = shop.requests.map(({ method, url, headers }) => [
      method, url, headers["last-event-id"],
    ]);
    const path = `/shop/api/jobs/${ID}`;
    assert.deepEqual(asked, [["GET", path, undefined], ["GET", path, "2"], ["GET", path, "2"]]);
    for (const { headers } of shop.requests) assert.equal(headers.accept, "text/event-stream");
  });

  shopTest("a job that failed, or was cancelled, is an error", async (shop) => {
    const failed = { error: "too late", code: "deadline_exceeded", request_id: "r2" };
    shop.script = [
      streams(as(1, event("error", failed))),
      streams(as(1, image(0)), as(2, event("cancelled", {}))),
      fails(404, "request_not_found"),
    ];
    const { client } = shop.listening();
    await assert.rejects(client.resume(ID), { code: "deadline_exceeded", message: "too late" });
    await assert.rejects(client.resume(ID), { name: "BackdropError", code: "job_cancelled" });
    await assert.rejects(client.resume(ID), { status: 404 });
    assert.equal(shop.requests.length, 3);
  });

  shopTest("who stops following leaves the job alone", async (shop) => {
    shop.script = [
      (response) => {
        response.writeHead(200, { "Content-Type": "text/event-stream" });
        response.write(as(1, progress(0, 1)));
      },
    ];
    const { client } = shop.listening();
    const leaving = new AbortController();
    const following = client.resume(ID, {
      signal: leaving.signal,
      onProgress: () => leaving.abort(),
    });
    await assert.rejects(following, { code: "aborted" });
    assert.deepEqual(shop.requests.map(({ method }) => method), ["GET"]);
  });

  shopTest("a job is cancelled, and what is no id is not asked for", async (shop) => {
    const cancelled = { ...JOB, state: "cancelled", place: null };
    shop.script = [answers(200, cancelled)];
    const { client } = shop.listening();
    assert.deepEqual(await client.cancel(ID), cancelled);
    assert.deepEqual([shop.requests[0].method, shop.requests[0].url], [
      "DELETE", `/shop/api/jobs/${ID}`,
    ]);
    for (const id of ["", "..", `${ID}/x`, undefined]) {
      await assert.rejects(client.cancel(id), { code: "invalid_request" });
      await assert.rejects(client.resume(id), { code: "invalid_request" });
    }
    assert.equal(shop.requests.length, 1);
  });
});
