// client.js against a service that is busy, lost, silent or no longer wanted. Run by test_client.py.
import assert from "node:assert/strict";
import { describe } from "node:test";

import {
  answers,
  cuts,
  done,
  event,
  fails,
  hangs,
  image,
  order,
  progress,
  shopTest,
  streams,
  url,
} from "./shop.mjs";

const HOUR_S = 3600;

describe("faults", { concurrency: true }, () => {
  for (const [status, code] of [
    [429, "overloaded"],
    [503, "unavailable"],
  ]) {
    shopTest(`a ${status} is waited out`, async (shop) => {
      shop.script = [
        fails(status, code, { "Retry-After": "1" }),
        streams(image(0), image(1), done()),
      ];
      const { client, told, listeners } = shop.listening();
      const begun = performance.now();
      const result = await client.generate(order, listeners);
      assert.ok(performance.now() - begun > 990);
      assert.equal(result.images.length, 2);
      assert.equal(told.waits.length, 1);
      assert.equal(told.waits[0].seconds, 1);
      assert.equal(told.waits[0].reason.code, code);
      const [first, second] = shop.requests;
      assert.deepEqual(second.fields, first.fields);
      assert.ok(first.fields.seed);
      assert.equal(second.headers["idempotency-key"], first.headers["idempotency-key"]);
    });
  }

  shopTest("waiting is bounded in number and in time", async (shop) => {
    shop.script = [fails(429, "overloaded", { "Retry-After": "0" })];
    const { client, told, listeners } = shop.listening({ retries: 2 });
    await assert.rejects(client.generate(order, listeners), { code: "overloaded", retryAfterS: 0 });
    assert.equal(shop.requests.length, 3);
    assert.equal(told.waits.length, 2);
    shop.script = [fails(429, "overloaded", { "Retry-After": String(HOUR_S) })];
    await assert.rejects(client.generate(order), { code: "overloaded", retryAfterS: HOUR_S });
    shop.script = [fails(503, "unavailable")];
    await assert.rejects(client.generate(order), { code: "unavailable", retryAfterS: null });
    assert.equal(shop.requests.length, 5);
  });

  for (const [how, first] of [
    ["is cut", cuts(progress(0, 1), image(0), progress(1, 3))],
    ["ends without a last word", streams(progress(0, 1), image(0), progress(1, 3))],
  ]) {
    shopTest(`a stream that ${how} is taken up again`, async (shop) => {
      // The repeat may come under other addresses: what was delivered stays.
      const again =
        image(0).replace("shop", "other") + image(1) + done().replaceAll("shop", "other");
      shop.script = [first, streams(progress(0, 1), progress(1, 1), again)];
      const { client, told, listeners } = shop.listening();
      const result = await client.generate(order, listeners);
      assert.deepEqual(
        told.images.map((one) => one.url),
        [url(0), url(1)],
      );
      assert.deepEqual(result.images, [url(0), url(1)]);
      assert.deepEqual(
        told.progress.map(({ index, step }) => [index, step]),
        [
          [0, 1],
          [1, 3],
          [1, 1],
        ],
      );
      assert.deepEqual(
        told.losses.map((loss) => loss.attempt),
        [1],
      );
      const [before, after] = shop.requests;
      assert.deepEqual(after.fields, before.fields);
      assert.equal(after.headers["idempotency-key"], before.headers["idempotency-key"]);
    });
  }

  shopTest(
    "a service that cannot be reached, or only its gateway, is tried again",
    async (shop) => {
      shop.script = [
        (response) => response.destroy(),
        answers(502, "<html>"),
        streams(image(0), done(1)),
      ];
      const { client, told, listeners } = shop.listening();
      assert.deepEqual((await client.generate(order, listeners)).images, [url(0)]);
      assert.deepEqual(
        told.losses.map((loss) => loss.attempt),
        [1, 2],
      );
      assert.ok(told.losses[1].seconds > told.losses[0].seconds);
    },
  );

  shopTest("a connection lost for good is an error", async (shop) => {
    shop.script = [cuts()];
    const { client } = shop.listening({ retries: 1 });
    await assert.rejects(client.generate(order), {
      name: "BackdropError",
      code: "network",
      status: 0,
    });
    assert.equal(shop.requests.length, 2);
  });

  shopTest("a new image renews the patience", async (shop) => {
    shop.script = [cuts(image(0)), cuts(image(1)), streams(done())];
    const { client, told, listeners } = shop.listening({ retries: 1 });
    await client.generate(order, listeners);
    assert.deepEqual(
      told.losses.map((loss) => loss.attempt),
      [1, 1],
    );
  });

  shopTest("a silent stream counts as lost", async (shop) => {
    shop.script = [hangs(image(0)), streams(image(0), image(1), done())];
    const { client, told, listeners } = shop.listening({ silenceS: 0.2 });
    await client.generate(order, listeners);
    assert.equal(told.losses.length, 1);
    await eventually(() => shop.hangUps.length === 1);
  });

  shopTest("cancelling ends the call and the connection at once", async (shop) => {
    shop.script = [hangs(progress(0, 1))];
    const { client } = shop.listening();
    const controller = new AbortController();
    const call = client.generate(order, {
      signal: controller.signal,
      onProgress: () => controller.abort(),
    });
    await assert.rejects(call, { name: "BackdropError", code: "aborted" });
    await eventually(() => shop.hangUps.length === 1);
    assert.equal(shop.requests.length, 1);
  });

  shopTest("after a cancel nothing more is told", async (shop) => {
    shop.script = [hangs(image(0) + image(1) + done())];
    const { client, told } = shop.listening();
    const controller = new AbortController();
    const onImage = (data) => {
      told.images.push(data);
      controller.abort();
    };
    const call = client.generate(order, { signal: controller.signal, onImage });
    await assert.rejects(call, { code: "aborted" });
    assert.equal(told.images.length, 1);
  });

  shopTest("a wait can be cancelled, also before it begins", async (shop) => {
    shop.script = [fails(429, "overloaded", { "Retry-After": "200" })];
    const { client } = shop.listening();
    for (const cancel of [
      (controller) => controller.abort(),
      (c) => setTimeout(() => c.abort(), 20),
    ]) {
      const controller = new AbortController();
      const call = client.generate(order, {
        signal: controller.signal,
        onWait: () => cancel(controller),
      });
      await assert.rejects(call, { code: "aborted" });
    }
    const signal = AbortSignal.abort();
    await assert.rejects(client.generate(order, { signal }), { code: "aborted" });
    assert.equal(shop.requests.length, 2);
  });

  shopTest("a listener's own error ends the call and is handed on", async (shop) => {
    shop.script = [hangs(image(0))];
    const { client } = shop.listening();
    const onImage = () => {
      throw new TypeError("a bug of the page");
    };
    await assert.rejects(client.generate(order, { onImage }), { message: "a bug of the page" });
    await eventually(() => shop.hangUps.length === 1);
    assert.equal(shop.requests.length, 1);
  });
});

async function eventually(condition) {
  for (let tries = 0; tries < 200 && !condition(); tries++) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  assert.ok(condition());
}
