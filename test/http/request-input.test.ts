/** What a caller sends is checked before a handler sees it: parameters, JSON bodies, raw ones. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { Type } from "typebox";
import type { RouteRequest } from "../../api/http/route.ts";
import { asker, echo, route, serve } from "./serving.ts";

suite("parameters", () => {
  const Query = Type.Object({
    n: Type.Optional(Type.Integer({ minimum: 1, maximum: 10 })),
    on: Type.Optional(Type.Boolean()),
    text: Type.Optional(Type.String({ maxLength: 5 })),
  });
  const ask = asker(
    serve([
      route({
        path: "/items/{id}",
        params: Type.Object({ id: Type.String({ minLength: 1 }) }),
        query: Query,
        handle: async (a) => echo(a),
      }),
      route({ path: "/plain", handle: async (a) => echo(a) }),
    ]),
  );

  test("arrive as texts, decoded once", async () => {
    const { body } = await ask({ url: "/items/a%2Fb%252F?n=7&on=true&text=%C3%A4+%2B" });
    assert.deepEqual(body, { params: { id: "a/b%2F" }, query: { n: "7", on: "true", text: "ä +" }, body: null });
  });

  const refused: Readonly<Record<string, RegExp>> = {
    "/items/a?n=0": /^n: must be >= 1/,
    "/items/a?n=11": /^n: /,
    "/items/a?n=1e0": /^n: must be integer/,
    "/items/a?n=": /^n: /,
    "/items/a?n=1&n=2": /^n: give it once/,
    "/items/a?on=yes": /^on: must be boolean/,
    "/items/a?text=123456": /^text: /,
    "/items/a?txt=1": /^txt: this route takes only n, on, text/,
    "/items/a?__proto__=1": /^__proto__: this route takes only/,
    "/plain?x=1": /^x: this route takes no query parameters/,
    "/items/a?text=%FF": /UTF-8, percent-encoded/,
    "/items/a?%E4=1": /UTF-8, percent-encoded/,
    [`/items/a?${"text=&".repeat(51)}`]: /more than 50 parameters/,
  };
  for (const [url, says] of Object.entries(refused)) {
    test(`${url.slice(0, 40)} is 400 and says which`, async () => {
      const { status, body } = await ask({ url });
      assert.deepEqual([status, body.code], [400, "BAD_REQUEST"]);
      assert.match(String(body.detail), says);
    });
  }

  test("that nobody gave are not there, whatever an object inherits", async () => {
    let seen: RouteRequest | undefined;
    const query = Type.Object({ constructor: Type.Optional(Type.String()), toString: Type.Optional(Type.String()) });
    const handle = async (asked: RouteRequest) => {
      seen = asked;
      return { status: 200 };
    };
    const app = serve([route({ query, handle })]);
    await app.inject("/x");
    assert.equal(seen?.query.constructor, undefined);
    assert.equal(seen?.query.toString, undefined);
  });
});

suite("a JSON body", () => {
  const Body = Type.Object({ name: Type.String(), tags: Type.Optional(Type.Array(Type.Unknown())) }, { additionalProperties: false });
  const ask = asker(
    serve([
      route({ method: "POST", body: Body, bodyMaxBytes: 1_000, handle: async (a) => echo(a) }),
      route({ method: "POST", path: "/none", handle: async (a) => echo(a) }),
    ]),
  );
  const json = { "content-type": "application/json" };
  const post = (payload: string | Buffer, headers: Readonly<Record<string, string>> = json, url = "/x") =>
    ask({ url, method: "POST", headers, payload });

  test("is checked and handed on", async () => {
    const { body } = await post('{"name":"ä"}', { "content-type": "Application/JSON; charset=utf-8" });
    assert.deepEqual(body.body, { name: "ä" });
  });

  const refused: Readonly<Record<string, readonly [string | Buffer, number, string]>> = {
    "half of it": ['{"name":', 400, "BAD_REQUEST"],
    nothing: ["", 400, "BAD_REQUEST"],
    "another shape": ['{"name":1}', 400, "BAD_REQUEST"],
    "a field too many": ['{"name":"a","admin":true}', 400, "BAD_REQUEST"],
    "a prototype": ['{"name":"a","__proto__":{"admin":true}}', 400, "BAD_REQUEST"],
    "bytes that are no UTF-8": [Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x7d]), 400, "BAD_REQUEST"],
    "65 levels": [`{"name":"a","tags":${"[".repeat(64)}${"]".repeat(64)}}`, 400, "BAD_REQUEST"],
    "too many bytes": [`{"name":"${"x".repeat(1_000)}"}`, 413, "BODY_TOO_LARGE"],
  };
  for (const [name, [payload, status, code]] of Object.entries(refused)) {
    test(`of ${name} is ${status}`, async () => {
      const answer = await post(payload);
      assert.deepEqual([answer.status, answer.body.code], [status, code], JSON.stringify(answer.body));
    });
  }

  test("may hold brackets in its strings, and 63 levels", async () => {
    assert.equal((await post(`{"name":"${"[{".repeat(100)}\\"${"[".repeat(100)}"}`)).status, 200);
    assert.equal((await post(`{"name":"a","tags":${"[".repeat(63)}${"]".repeat(63)}}`)).status, 200);
  });

  for (const type of [
    "text/plain",
    "application/x-www-form-urlencoded",
    "application/json\t;",
    "application/jsonx",
    "application/xml",
    "json",
    "",
  ]) {
    test(`as "${type}" is ${type.startsWith("application/json\t") ? "read" : "415"}`, async () => {
      const { status } = await post('{"name":"a"}', type === "" ? {} : { "content-type": type });
      assert.equal(status, type.startsWith("application/json\t") ? 200 : 415);
    });
  }

  test("is not unpacked", async () => {
    const { status, body } = await post('{"name":"a"}', { ...json, "content-encoding": "gzip" });
    assert.deepEqual([status, body.code], [415, "UNSUPPORTED_ENCODING"]);
  });

  test("is refused where a route takes none", async () => {
    assert.equal((await post('{"name":"a"}', json, "/none")).status, 400);
    assert.equal((await ask({ url: "/none", method: "POST" })).status, 200);
  });
});

suite("a raw body", () => {
  const types = ["application/cloudevents+json", "text/*"];
  const ask = asker(
    serve([
      route({
        method: "POST",
        body: { raw: types },
        handle: async ({ body }) => ({ status: 200, body: { bytes: [...(body as Buffer)] } }),
      }),
      route({
        method: "POST",
        path: "/any",
        body: { raw: ["*/*"] },
        handle: async ({ body }) => ({ status: 200, body: { n: (body as Buffer).length } }),
      }),
    ]),
  );

  test("is handed on as its bytes, under the media types that the route names", async () => {
    const payload = Buffer.from([0, 255, 10]);
    for (const type of ["application/cloudevents+json; charset=utf-8", "text/csv"]) {
      assert.deepEqual((await ask({ url: "/x", method: "POST", headers: { "content-type": type }, payload })).body, {
        bytes: [0, 255, 10],
      });
    }
    assert.equal((await ask({ url: "/x", method: "POST", headers: { "content-type": "application/json" }, payload })).status, 415);
  });

  test("under any media type, and without one", async () => {
    assert.equal((await ask({ url: "/any", method: "POST", headers: { "content-type": "a/b" }, payload: "xy" })).body.n, 2);
    assert.equal((await ask({ url: "/any", method: "POST" })).body.n, 0);
  });
});
