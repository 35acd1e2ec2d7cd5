// A real server that answers as a test says, for the tests of client.js.
import { createServer } from "node:http";
import { test } from "node:test";

import { BackdropClient } from "../../deployments/ingress/http/page/client.js";

const photo = new Blob(["a photo"], { type: "image/png" });
export const order = {
  image: photo,
  prompt: "Perfume backdrop",
  model: "stable-diffusion",
  numImages: 2,
};

/** A server of a test's own. */
class Shop {
  /** What arrived, in order. */
  requests = [];
  /** What answers, one for each request; the last one answers the rest. */
  script = [];
  /** Connections that ended before their answer did. */
  hangUps = [];

  async open() {
    this.server = createServer(async (request, response) => {
      const chunks = [];
      for await (const chunk of request) chunks.push(chunk);
      const { method, url, headers } = request;
      const text = Buffer.concat(chunks).toString("latin1");
      this.requests.push({ method, url, headers, text, fields: fieldsOf(headers, text) });
      response.on("close", () => response.writableFinished || this.hangUps.push(url));
      await (this.script.length > 1 ? this.script.shift() : this.script[0])(response);
    });
    await new Promise((resolve) => this.server.listen(0, "127.0.0.1", resolve));
    this.baseUrl = `http://127.0.0.1:${this.server.address().port}/shop/`;
  }

  close() {
    this.server.closeAllConnections();
    this.server.close();
  }

  /** A client, and a record of all it tells. */
  listening(settings = {}) {
    const told = { progress: [], images: [], waits: [], losses: [] };
    const client = new BackdropClient({ baseUrl: this.baseUrl, ...settings });
    const listeners = {
      onProgress: (data) => told.progress.push(data),
      onImage: (data) => told.images.push(data),
      onWait: (data) => told.waits.push(data),
      onReconnect: (data) => told.losses.push(data),
    };
    return { client, told, listeners };
  }
}

/** A test with a server, beside all others. */
export function shopTest(name, body) {
  test(name, async () => {
    const shop = new Shop();
    await shop.open();
    try {
      await body(shop);
    } finally {
      shop.close();
    }
  });
}

/** The plain fields of a multipart or JSON body. */
function fieldsOf(headers, text) {
  if (headers["content-type"] === "application/json") return JSON.parse(text);
  const parts = text.matchAll(
    /form-data; name="(\w+)"(?:; filename="([^"]*)")?[^]*?\r\n\r\n([^]*?)\r\n--/g,
  );
  return Object.fromEntries(Array.from(parts, ([, name, , value]) => [name, value]));
}

export const event = (type, data) => `event: ${type}\r\ndata: ${JSON.stringify(data)}\r\n\r\n`;
export const url = (index) => `http://shop.example/generated/${index}.png`;
export const progress = (index, step) => event("progress", { index, step, steps: 4 });
export const image = (index, seed = 7) =>
  event("image", {
    index,
    url: url(index),
    seed: seed + index,
    fidelity: { pixels: 1, shape: 0.9 },
  });
export const done = (count = 2) => {
  const indices = Array.from({ length: count }, (_, index) => index);
  return event("done", {
    images: indices.map(url),
    model_used: "stable-diffusion",
    prompt_used: "Perfume backdrop",
    seeds: indices.map((index) => 7 + index),
    fidelity: indices.map(() => ({ pixels: 1, shape: 0.9 })),
    warnings: ["the prompt was cut"],
    withheld: [],
  });
};

/** Answers with a stream of these pieces, each sent by itself. */
export const streams =
  (...pieces) =>
  async (response) => {
    response.writeHead(200, { "Content-Type": "text/event-stream; charset=utf-8" });
    for (const piece of pieces) {
      response.write(piece);
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    response.end();
  };
/** As above, but the connection is cut at the end. */
export const cuts =
  (...pieces) =>
  async (response) => {
    response.writeHead(200, { "Content-Type": "text/event-stream" });
    for (const piece of pieces) response.write(piece);
    await new Promise((resolve) => setTimeout(resolve, 20));
    response.destroy();
  };
export const answers =
  (status, body, headers = {}) =>
  (response) => {
    response.writeHead(status, { "Content-Type": "application/json", ...headers });
    response.end(typeof body === "string" ? body : JSON.stringify(body));
  };
export const fails = (status, code, headers) =>
  answers(status, { error: `it is ${code}`, code, request_id: "r1" }, headers);
export const hangs =
  (...pieces) =>
  (response) => {
    response.writeHead(200, { "Content-Type": "text/event-stream" });
    pieces.forEach((piece) => response.write(piece));
  };
